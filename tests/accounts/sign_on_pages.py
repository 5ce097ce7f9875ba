"""What tests of company sign-on share: the settings, and a browser that goes to the provider and back."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from kmes.accounts.company_sign_on import documents, services, transport
from kmes.accounts.company_sign_on.services import ProviderValues
from kmes.core.actor import SYSTEM
from kmes.core.secret_types import SecretText
from tests.accounts.sign_on_provider import CLIENT, SECRET, Provider, running_provider

START, ANSWER, LOGOUT = "/login/company/", "/login/company/answer/", "/login/company/logout/"
PAGE, TEST, TRIAL = "/company-sign-on/", "/company-sign-on/test/", "/company-sign-on/trial/"
ROLES = {"kmes-admins": "admin", "kmes-operators": "operator", "kmes-auditors": "auditor"}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with running_provider(tmp_path_factory.mktemp("provider")) as found:
        yield found


@pytest.fixture
def provider(running, settings, monkeypatch, db) -> Provider:
    """A provider that the console is set up for."""
    be_patient(monkeypatch)
    found, authority = running
    found.reset()
    documents.forget()
    settings.KMES_CA_FILE, settings.KMES_SIGN_ON_PRIVATE_HOSTS = str(authority), ["127.0.0.1"]
    save(found)
    return found


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a busy machine time: neither a request nor a pause is measured."""
    monkeypatch.setattr(transport, "SECONDS", 60)
    monkeypatch.setattr(documents, "PAUSE_SECONDS", 3600)


def values(provider: Any, **changes: Any) -> ProviderValues:
    given = {
        "name": "Example",
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "scopes": "openid profile email",
        "username_claim": "preferred_username",
        "groups_claim": "groups",
        "group_roles": ROLES,
        "is_enabled": True,
        **changes,
    }
    return ProviderValues(**given)


def save(provider: Any, **changes: Any) -> None:
    services.save(values(provider, **changes), SecretText(SECRET), actor=SYSTEM)


def begin(client: Client, path: str = START) -> str:
    """Follow the button; return the provider's address that the browser is sent to."""
    answer = client.get(path)
    assert answer.status_code == 302, answer.content.decode()
    return answer.url


def sign_in(
    provider: Provider, client: Client | None = None, *, path: str = START, **claims: Any
) -> tuple[Client, Any]:
    """Go to the provider and back; return the browser and the console's answer."""
    client = client or Client()
    return client, client.get(provider.authorize(begin(client, path), **claims))


def is_in(client: Client) -> bool:
    return client.get("/users/").status_code == 200
