"""Back-off for answers that prove that a call had no effect.

Clients that change something are built without retries of their own, because a repeated import doubles
versions (docs/azure.md#limits-and-throttling). What may be repeated is repeated here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cloudcreds.provider.errors import NO_EFFECT, CloudError, CloudErrorKind
from cloudcreds.provider.send_deadline import SendBy, allowed_until
from kmes.core.clock import steady

T = TypeVar("T")

# The pauses of Microsoft's throttling guidance, in seconds (docs/azure.md#limits-and-throttling). They are also the least
# that is waited, whatever Retry-After says.
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
# Repeats of what is not throttled; for longer waits the job goes back into the queue.
SHORT_RETRIES = 2


def _never(_lasted: float) -> bool:
    return False


def _never_over() -> bool:
    return False


def _no_deadline() -> None:
    """Set no send deadline."""


def _ignore_pause(seconds: float, reason: str) -> None:
    """Ignore that a pause begins."""


@dataclass
class Backoff:
    """Repeats a call without effect after a pause.

    Attributes:
        budget_seconds: the most to wait in all for one call.
        should_stop: asked before each pause and each second of it, with the seconds since the first try; True ends the
            waiting. Asked with the seconds of one try while that waits for its answer.
        on_wait: called before each pause with its seconds and reason.
        sleep: how to pause.
        before_send: called before each try of a mutating call; returns its send deadline, or refuses by raising.

    """

    budget_seconds: float = 60.0
    should_stop: Callable[[float], bool] = _never
    on_wait: Callable[[float, str], None] = _ignore_pause
    sleep: Callable[[float], None] = time.sleep
    before_send: Callable[[], SendBy | None] = _no_deadline

    def call(
        self, operation: Callable[[], T], *, mutating: bool = False, is_over: Callable[[], bool] = _never_over
    ) -> T:
        """Make a call, and again after a pause while it has no effect and the budget lasts.

        ``is_over`` says whether the tries have used up the time that a call may take.

        Raises:
            CloudError: the last answer; of kind ``stopped`` when the waiting was ended.

        """
        began, spent, tries = steady(), 0.0, 0
        while True:
            try:
                with allowed_until(self.before_send() if mutating else None):
                    return operation()
            except CloudError as error:
                pause = self._pause(error, tries)
                may_repeat = error.kind == CloudErrorKind.THROTTLED or tries < SHORT_RETRIES
                out_of_time = spent + pause > self.budget_seconds or is_over()
                if error.kind not in NO_EFFECT or not may_repeat or out_of_time:
                    raise
                if self.should_stop(steady() - began):
                    raise _stopped(error) from None
                if pause:
                    self.on_wait(pause, error.what)
                    self._rest(pause, began)
                    if self.should_stop(steady() - began):
                        raise _stopped(error) from None
                spent, tries = spent + pause, tries + 1

    @staticmethod
    def _pause(error: CloudError, tries: int) -> float:
        if error.kind == CloudErrorKind.TOO_LATE:
            return 0.0
        # Up to a quarter more, so that several workers don't come back together.
        own = PAUSES[min(tries, len(PAUSES) - 1)] * random.uniform(1, 1.25)  # noqa: S311 - no secret
        return max(own, error.retry_after or 0.0)

    def _rest(self, seconds: float, began: float) -> None:
        while seconds > 0 and not self.should_stop(steady() - began):
            self.sleep(min(1.0, seconds))
            seconds -= 1.0


def _stopped(error: CloudError) -> CloudError:
    """Return that a call without effect was not repeated, because its job was to stop; its own error says no more."""
    return CloudError(
        CloudErrorKind.STOPPED, error.what, error.remedy, request_id=error.request_id, http_status=error.http_status
    )
