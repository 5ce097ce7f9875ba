"""How long we wait for Azure: back-off for answers that prove that nothing happened.

azure-core does not retry a POST or PATCH on 429 without Retry-After (AZURE.md 5.3), and its retries of
a PUT double versions; so the clients that change things have no retries, and this is ours.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cloudcreds.azure.errors import AzureError, AzureErrorKind
from cloudcreds.azure.sending import SendBy, allowed_until

T = TypeVar("T")

# The pauses Microsoft's throttling guidance names, in seconds.
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
# What proves that a call had no effect and may pass later.
NO_EFFECT = frozenset({AzureErrorKind.THROTTLED, AzureErrorKind.UNREACHABLE, AzureErrorKind.TOO_LATE})
MAX_RETRY_AFTER = 60.0


def _never() -> bool:
    return False


def _any_time() -> None:
    """Set no limit."""


def _silently(seconds: float, reason: str) -> None:
    """Ignore the news of a pause."""


@dataclass
class Patience:
    """Waits out throttling.

    Attributes:
        budget_seconds: the most to wait in all for one call.
        should_stop: asked before each pause and each second of it; True ends the waiting.
        on_wait: told of each pause, in seconds, and its reason.
        sleep: how to pause.
        before_send: asked before each try of a changing call until when it may leave; it may refuse by raising.

    """

    budget_seconds: float = 60.0
    should_stop: Callable[[], bool] = _never
    on_wait: Callable[[float, str], None] = _silently
    sleep: Callable[[float], None] = time.sleep
    before_send: Callable[[], SendBy | None] = _any_time

    def call(self, operation: Callable[[], T], *, changing: bool = False) -> T:
        """Make a call, and again after a pause while it has no effect and the budget lasts.

        Raises:
            AzureError: the last answer.

        """
        spent, tries = 0.0, 0
        while True:
            try:
                with allowed_until(self.before_send() if changing else None):
                    return operation()
            except AzureError as error:
                pause = self._pause(error, tries)
                # An unreachable vault gets two short tries; the job waits for more in the queue.
                patient = error.kind == AzureErrorKind.THROTTLED or tries < 2
                out_of_time = spent + pause > self.budget_seconds
                if error.kind not in NO_EFFECT or not patient or out_of_time or self.should_stop():
                    raise
                if pause:
                    self.on_wait(pause, error.what)
                    self._rest(pause)
                spent, tries = spent + pause, tries + 1

    @staticmethod
    def _pause(error: AzureError, tries: int) -> float:
        if error.kind == AzureErrorKind.TOO_LATE:
            return 0.0
        if error.retry_after is not None:
            return min(error.retry_after, MAX_RETRY_AFTER)
        # Up to a quarter more, so that several workers don't come back together.
        return PAUSES[min(tries, len(PAUSES) - 1)] * random.uniform(1, 1.25)  # noqa: S311 - no secret

    def _rest(self, seconds: float) -> None:
        while seconds > 0 and not self.should_stop():
            self.sleep(min(1.0, seconds))
            seconds -= 1.0
