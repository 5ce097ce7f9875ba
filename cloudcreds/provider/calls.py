"""One call to a vault: repeated where that is safe, its error in neutral terms, its row in the log.

A provider's gateway derives from ``VaultCalls``. What is called stands in the gateway.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.db import connection

from cloudcreds.provider import call_watch
from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.recorder import FAILURE_EVENTS, CallRecord, Recorder
from kmes.core.clock import steady
from kmes.core.language import recorded
from logging_reports.choices import Severity
from logging_reports.events import find_event

T = TypeVar("T")
# Reads in which finding nothing is an answer, not a failure.
LOOK_EVENTS = frozenset({"azure.key_read", "azure.deleted_key_read", "azure.rotation_policy_read"})
# Refusals that a new sign-in may lift: a right granted since acts in new tokens only, a kept token may have ended, and a
# domain may have been moved to another tenant.
WORTH_A_NEW_SIGN_IN = frozenset(
    {
        CloudErrorKind.PERMISSION,
        CloudErrorKind.AUTHENTICATION,
        CloudErrorKind.TOKEN_REFUSED,
        CloudErrorKind.WRONG_TENANT,
        CloudErrorKind.WRONG_CLIENT,
    }
)
# Seconds without another sign-in for a missing right: a new token would lack it, too.
SIGN_IN_ANEW_SECONDS = 300.0
# A call is not repeated when less than this part is left of the time it may take.
LEAST_PART = 0.25


@dataclass
class AnswerFacts:
    """What came with an answer: its status, and the provider's id of the request."""

    http_status: int | None = None
    request_id: str = ""


class VaultCalls(ABC):
    """How one call to a vault is made, whatever the provider."""

    # What the provider's client library raises.
    client_errors: ClassVar[tuple[type[Exception], ...]] = ()

    def __init__(self, vault: str, *, recorder: Recorder, backoff: Backoff | None = None) -> None:
        self._vault = vault
        self._recorder = recorder
        self._backoff = backoff or Backoff()
        self._expected: frozenset[CloudErrorKind] = frozenset()
        # By the steady clock; None for not yet. A gateway lives as long as a run of a job.
        self._signed_in_anew_at: float | None = None

    def forget_sign_in(self) -> bool:
        """Drop the kept sign-in, so that the next call obtains a new one. Return False where none is kept."""
        return False

    def clock_difference(self) -> timedelta | None:
        """Return how far this machine's clock is ahead of the vault's (negative: behind); None when not known."""
        return None

    @abstractmethod
    def translate(self, error: Any, *, mutating: bool, permission: str, subject: str) -> CloudError:
        """Return the client library's error in neutral terms.

        Args:
            error: one of ``client_errors``.
            mutating: whether the call changes the vault; then a lost answer means an unknown outcome.
            permission: the key permission that the call needs.
            subject: the key or vault the call was about.

        """

    @contextmanager
    def expecting(self, *kinds: CloudErrorKind) -> Iterator[None]:
        """For the body, a refusal of these kinds is what was asked for: it is raised, but its row is no error."""
        before, self._expected = self._expected, frozenset(kinds)
        try:
            yield
        finally:
            self._expected = before

    def call(
        self,
        event: str,
        operation: Callable[[AnswerFacts], T],
        *,
        permission: str,
        key: str = "",
        mutating: bool = False,
        message: Callable[[T], str] = lambda _answer: "",
    ) -> T:
        """Make one call with back-off, and leave one row for each try.

        ``operation`` fills in the facts of its answer. The first refusal that a new sign-in may lift leaves no row: the
        call is made once more with a new sign-in, and that answer counts.

        Raises:
            CloudError: the last answer.

        """
        if connection.in_atomic_block and not settings.KMES_ALLOW_DEVICE_IN_TRANSACTION:
            text = "A cloud must not be called while a database transaction is open"
            raise AssertionError(text)
        left = float(settings.KMES_CALL_SECONDS)

        def attempt() -> T:
            nonlocal left
            begun = steady()
            try:
                return self._once(
                    event,
                    operation,
                    permission=permission,
                    key=key,
                    mutating=mutating,
                    message=message,
                    seconds=left,
                )
            finally:
                left -= steady() - begun

        return self._backoff.call(
            attempt, mutating=mutating, is_over=lambda: left < LEAST_PART * settings.KMES_CALL_SECONDS
        )

    def _sign_in_anew(self, refused: CloudError) -> bool:
        """Drop the sign-in after a refusal that a new one may lift. Return whether the call is worth another try."""
        before = self._signed_in_anew_at
        is_too_soon = before is not None and steady() - before < SIGN_IN_ANEW_SECONDS
        if refused.kind not in WORTH_A_NEW_SIGN_IN or refused.kind in self._expected or is_too_soon:
            return False
        self._signed_in_anew_at = steady()
        return self.forget_sign_in()

    def _once(
        self,
        event: str,
        operation: Callable[[AnswerFacts], T],
        *,
        permission: str,
        key: str,
        mutating: bool,
        message: Callable[[T], str],
        seconds: float,
    ) -> T:
        facts, begun = AnswerFacts(), time.monotonic()
        try:
            with call_watch.watched(seconds, self._backoff.should_stop):
                answer = operation(facts)
        except CloudError as refused:
            # Its send deadline had passed, or what came back is not what was asked for.
            self._record_failure(refused, event, key, begun)
            raise
        except self.client_errors as error:
            failure = self.translate(error, mutating=mutating, permission=permission, subject=key or self._vault)
            if self._sign_in_anew(failure):
                return self._once(
                    event,
                    operation,
                    permission=permission,
                    key=key,
                    mutating=mutating,
                    message=message,
                    seconds=seconds - (time.monotonic() - begun),
                )
            self._record_failure(failure, event, key, begun)
            raise failure from None
        self._recorder.call(
            CallRecord(
                event=event,
                message=message(answer) or "",
                vault=self._vault,
                key_name=key,
                version=getattr(answer, "version", "") or "",
                request_id=facts.request_id,
                http_status=facts.http_status,
                duration_ms=_milliseconds_since(begun),
            )
        )
        return answer

    def _record_failure(self, error: CloudError, event: str, key: str, begun: float) -> None:
        is_look = error.kind == CloudErrorKind.NOT_FOUND and event in LOOK_EVENTS
        is_expected = error.kind in self._expected
        if is_expected:
            row = "azure.probe"
        else:
            row = event if is_look else FAILURE_EVENTS.get(error.kind, "azure.call_failed")
        wanted = recorded(find_event(event).label)
        self._recorder.call(
            CallRecord(
                event=row,
                message=error.what if is_look else f"The call for “{wanted}” failed: {error}",
                severity=Severity.INFO if is_look or is_expected else None,
                vault=self._vault,
                key_name=key,
                request_id=error.request_id,
                http_status=error.http_status,
                duration_ms=_milliseconds_since(begun),
                error_kind=error.kind,
            )
        )

    @staticmethod
    def none_if_missing(look: Callable[[], T]) -> T | None:
        """Return what the look finds; None when there is no such key or version."""
        try:
            return look()
        except CloudError as error:
            if error.kind == CloudErrorKind.NOT_FOUND:
                return None
            raise


def _milliseconds_since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
