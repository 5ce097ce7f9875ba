"""One call to Azure: made with patience, its answer checked, its row left, its error turned into ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from azure.core.exceptions import AzureError as SdkError
from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _

from cloudcreds.azure import clients
from cloudcreds.azure.endpoints import same_host, vault_name
from cloudcreds.azure.errors import AzureError, AzureErrorKind, translate
from cloudcreds.azure.patience import Patience
from cloudcreds.azure.recorder import FAILURE_EVENTS, CallRecord, Recorder
from cloudcreds.azure.types import CredentialAccess
from kmes.core.language import recorded
from logging_reports.choices import Severity
from logging_reports.events import find_event

T = TypeVar("T")


class VaultCalls:
    """The way one call to a vault goes; what is called stands in ``gateway``."""

    def __init__(
        self, access: CredentialAccess, vault_url: str, *, recorder: Recorder, patience: Patience | None = None
    ) -> None:
        self._access = access
        self._url = vault_url
        self._vault = vault_name(vault_url) if vault_url else ""
        self._recorder = recorder
        self._patience = patience or Patience()
        self._expected: frozenset[AzureErrorKind] = frozenset()

    @contextmanager
    def expecting(self, *kinds: AzureErrorKind) -> Iterator[None]:
        """For the body, a refusal of these kinds is what was asked for: it is raised, but its row is no error."""
        before, self._expected = self._expected, frozenset(kinds)
        try:
            yield
        finally:
            self._expected = before

    @property
    def _clients(self) -> clients.KeyClients:
        return clients.open_key_clients(self._access, self._url)

    def call(
        self,
        event: str,
        operation: Callable[[Callable[[Any], None]], T],
        *,
        permission: str,
        key: str = "",
        mutating: bool = False,
        message: Callable[[T], str] = lambda _answer: "",
    ) -> T:
        """Make one call, with our back-off, and leave its row.

        ``operation`` gets the hook that the SDK calls with the raw answer, for its status and request id.
        """
        if connection.in_atomic_block and not settings.KMES_ALLOW_DEVICE_IN_TRANSACTION:
            text = "Azure must not be asked while a database transaction is open"
            raise AssertionError(text)
        return self._patience.call(
            lambda: self._once(event, operation, permission=permission, key=key, mutating=mutating, message=message),
            changing=mutating,
        )

    def _once(
        self,
        event: str,
        operation: Callable[[Callable[[Any], None]], T],
        *,
        permission: str,
        key: str,
        mutating: bool,
        message: Callable[[T], str],
    ) -> T:
        seen: dict[str, Any] = {}

        def hook(response: Any) -> None:
            seen["status"] = response.http_response.status_code
            seen["request_id"] = response.http_response.headers.get("x-ms-request-id", "")

        begun = time.monotonic()
        try:
            answer = operation(hook)
            self._check_host(answer)
        except SdkError as error:
            ours = translate(error, mutating=mutating, permission=permission, subject=key or self._vault)
            self._note_failure(ours, event, key, begun)
            raise ours from None
        self._recorder.call(
            CallRecord(
                event=event,
                message=message(answer) or "",
                vault=self._vault,
                key_name=key,
                version=getattr(answer, "version", "") or "",
                request_id=seen.get("request_id", ""),
                http_status=seen.get("status"),
                duration_ms=_since(begun),
            )
        )
        return answer

    def _check_host(self, answer: Any) -> None:
        """Refuse an answer whose key id names another host: it would be about another vault's key."""
        kid = getattr(answer, "kid", "")
        if kid and not same_host(kid, self._url):
            raise AzureError(
                AzureErrorKind.REDIRECT_REFUSED,
                _("The answer is about a key of another vault (%(kid)s).") % {"kid": kid},
                _("Check the vault's URL, and whether a proxy stands in between."),
            )

    def _note_failure(self, error: AzureError, event: str, key: str, begun: float) -> None:
        # A look that finds nothing is an answer, not a failure.
        look = error.kind == AzureErrorKind.NOT_FOUND and event in {"azure.key_read", "azure.deleted_key_read"}
        expected = look or error.kind in self._expected
        wanted = recorded(find_event(event).label)
        self._recorder.call(
            CallRecord(
                event="azure.probe"
                if error.kind in self._expected
                else event
                if look
                else FAILURE_EVENTS.get(error.kind, "azure.call_failed"),
                message=str(error) if look else f"Instead of “{wanted}”: {error}",
                severity=Severity.INFO if expected else None,
                vault=self._vault,
                key_name=key,
                request_id=error.request_id,
                http_status=error.http_status,
                duration_ms=_since(begun),
            )
        )

    @staticmethod
    def _or_none(look: Callable[[], T]) -> T | None:
        try:
            return look()
        except AzureError as error:
            if error.kind == AzureErrorKind.NOT_FOUND:
                return None
            raise


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
