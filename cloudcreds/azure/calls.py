"""One call to Azure through the SDK: its status and request id, its error, and whether the asked vault answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from azure.core.exceptions import AzureError as SdkError
from django.utils.translation import gettext as _

from cloudcreds.azure import clients
from cloudcreds.azure.addresses import same_host, vault_name
from cloudcreds.azure.errors import translate
from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.calls import AnswerFacts, VaultCalls
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.recorder import Recorder
from cloudcreds.provider.types import CredentialAccess

T = TypeVar("T")
# What the SDK calls with each raw answer.
Hook = Callable[[Any], None]


class AzureCalls(VaultCalls):
    """How one call to a vault of Azure is made."""

    client_errors = (SdkError,)

    def __init__(
        self, access: CredentialAccess, vault_url: str, *, recorder: Recorder, backoff: Backoff | None = None
    ) -> None:
        super().__init__(vault_name(vault_url) if vault_url else "", recorder=recorder, backoff=backoff)
        self._access = access
        self._url = vault_url

    @property
    def _clients(self) -> clients.KeyClients:
        return clients.open_key_clients(self._access, self._url)

    def call_sdk(
        self,
        event: str,
        operation: Callable[[Hook], T],
        *,
        permission: str,
        key: str = "",
        mutating: bool = False,
        message: Callable[[T], str] = lambda _answer: "",
    ) -> T:
        """Make one call of the SDK. ``operation`` gets the hook for the raw answer."""
        return self.call(
            event,
            lambda facts: operation(_hook_into(facts)),
            permission=permission,
            key=key,
            mutating=mutating,
            message=message,
        )

    def translate(self, error: Any, *, mutating: bool, permission: str, subject: str) -> CloudError:
        """Return the SDK's error in neutral terms."""
        return translate(error, mutating=mutating, permission=permission, subject=subject)

    def check_answer(self, answer: Any) -> None:
        """Refuse an answer whose key id names another host: it would be about another vault's key."""
        kid = getattr(answer, "kid", "")
        if kid and not same_host(kid, self._url):
            raise CloudError(
                CloudErrorKind.REDIRECT_REFUSED,
                _("The answer is about a key of another vault (%(kid)s).") % {"kid": kid},
                _("Check the vault's URL, and whether a proxy stands in between."),
            )


def _hook_into(facts: AnswerFacts) -> Hook:
    def hook(response: Any) -> None:
        facts.http_status = response.http_response.status_code
        facts.request_id = response.http_response.headers.get("x-ms-request-id", "")

    return hook
