"""One call to Azure through the SDK: its status and request id, and its error in neutral terms."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from azure.core.exceptions import AzureError as SdkError
from django.utils.translation import gettext as _

from cloudcreds.azure import clients, clock_effects, service_clock
from cloudcreds.azure.addresses import vault_name
from cloudcreds.azure.answers import AskedService, UnknownAnswer, WrongChallenge
from cloudcreds.azure.errors import clean_request_id, detach, find_transport_error, translate
from cloudcreds.provider import call_watch
from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.calls import AnswerFacts, VaultCalls
from cloudcreds.provider.errors import CloudError
from cloudcreds.provider.recorder import Recorder
from cloudcreds.provider.types import CredentialAccess
from kmes.core.clock import steady

logger = logging.getLogger(__name__)

T = TypeVar("T")
# What the SDK raises where it trips over an answer, beside its own errors.
_TRIPPED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
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
            lambda facts: self._with_challenge(operation, _hook_into(facts)),
            permission=permission,
            key=key,
            mutating=mutating,
            message=message,
        )

    def _with_challenge(self, operation: Callable[[Hook], T], hook: Hook) -> T:
        """Make a call, and once more when the vault named another tenant: one stray challenge must not stay in memory."""
        outside = sys.exception()
        try:
            return _use_answer(operation, hook)
        except SdkError as error:
            detach(error, outside)
            if not isinstance(find_transport_error(error), WrongChallenge):
                raise
            clients.forget_challenge(self._url)
            return _use_answer(operation, hook)

    def translate(self, error: Any, *, mutating: bool, permission: str, subject: str) -> CloudError:
        """Return the SDK's error in neutral terms."""
        failure = translate(error, mutating=mutating, permission=permission, subject=subject)
        text = str(getattr(error, "message", "") or error)
        return clock_effects.explain(failure, text, access=self._access, vault_url=self._url)

    def forget_sign_in(self) -> bool:
        """Drop the kept tokens of the credential: the next call obtains a new one."""
        clients.forget_sign_in(self._access)
        self._signed_in_anew_at = steady()
        return True

    def clock_difference(self) -> timedelta | None:
        """Return how far this machine's clock is ahead of the vault's; None when the answers don't say it for certain."""
        found = service_clock.difference(AskedService.VAULT, self._url) if self._url else None
        return found.value if found is not None and found.is_certain else None


def _use_answer(operation: Callable[[Hook], T], hook: Hook) -> T:
    """Make a call.

    Raises:
        UnknownAnswer: an answer came over which the SDK trips: it is none of the service.

    """
    try:
        return operation(hook)
    except _TRIPPED as error:
        watch = call_watch.current()
        if watch is None or not watch.is_sent or not isinstance(watch.asked, AskedService):
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        # The error's text may quote the answer.
        logger.warning(
            "%s can't use an answer: %s at %s:%s", watch.asked.value, type(error).__name__, place.name, place.lineno
        )
        raise UnknownAnswer(watch.asked, _("the answer can't be used.")) from None


def _hook_into(facts: AnswerFacts) -> Hook:
    def hook(response: Any) -> None:
        facts.http_status = response.http_response.status_code
        facts.request_id = clean_request_id(str(response.http_response.headers.get("x-ms-request-id", "")))

    return hook
