"""An answer over which the SDK trips is an unknown one, and never an unexpected error."""

from __future__ import annotations

import pytest

from cloudcreds.azure.answers import AskedService
from cloudcreds.azure.provider import AzureProvider
from cloudcreds.choices import CloudName
from cloudcreds.provider import call_watch
from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.proofs import ClientSecret
from cloudcreds.provider.types import CredentialAccess
from kmes.core.secret_types import SecretText
from tests.cloudcreds.azure.conftest import CLIENT, SECRET, TENANT, Notes

VAULT, SIGN_IN = AskedService.VAULT, AskedService.SIGN_IN


@pytest.fixture
def gateway():
    access = CredentialAccess(CloudName.PUBLIC, TENANT, CLIENT, ClientSecret(SecretText(SECRET)))
    return AzureProvider().open_gateway(
        access, "https://kv.vault.azure.net", recorder=Notes(), backoff=Backoff(budget_seconds=0)
    )


def trips_over(service, error):
    """An operation of the SDK that was answered by this service and fails over it."""

    def operation(_hook):
        watch = call_watch.current()
        watch.begin_request(service)
        watch.sending(None)
        raise error

    return operation


@pytest.mark.parametrize("error", [ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError])
@pytest.mark.parametrize(
    ("service", "mutating", "kind"),
    [
        (VAULT, True, CloudErrorKind.UNKNOWN_OUTCOME),
        (VAULT, False, CloudErrorKind.UNREACHABLE),
        (SIGN_IN, True, CloudErrorKind.SIGN_IN_UNAVAILABLE),
    ],
    ids=["change", "reading", "sign-in"],
)
def test_it_is_unknown_by_what_was_asked(gateway, error, service, mutating, kind, caplog):
    with pytest.raises(CloudError) as failure:
        gateway.call_sdk(
            "azure.key_imported",
            trips_over(service, error("the answer's text")),
            permission="import",
            mutating=mutating,
        )
    assert failure.value.kind == kind
    assert error.__name__ in caplog.text
    assert "the answer's text" not in caplog.text
    assert "Traceback" not in caplog.text


def test_a_mistake_before_anything_was_sent_stays_one(gateway):
    def operation(_hook):
        raise KeyError("x")

    with pytest.raises(KeyError):
        gateway.call_sdk("azure.key_imported", operation, permission="import", mutating=True)
