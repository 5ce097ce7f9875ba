"""The send deadline of mutating requests: until when one may leave this process.

A worker can stand still anywhere (a frozen virtual machine, SIGSTOP, a long garbage collection). What
it sends afterwards surprises the worker that took its job over. A provider's transport therefore calls
``check`` when the connection stands, right before the request is written. Reading requests pass.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from kmes.core.clock import now, steady

MUTATING_METHODS = frozenset({"PUT", "POST", "PATCH", "DELETE"})
_current = threading.local()


@dataclass(frozen=True)
class SendBy:
    """A moment by two clocks: one may be set back, the other stands while a virtual machine is frozen."""

    steady: float
    wall: float

    @classmethod
    def within(cls, seconds: float) -> SendBy:
        """Return the moment that many seconds from now."""
        return cls(steady() + seconds, now().timestamp() + seconds)

    def earlier(self, seconds: float) -> SendBy:
        """Return the moment that many seconds before; a negative number changes nothing."""
        return SendBy(self.steady - max(0.0, seconds), self.wall - max(0.0, seconds))

    def seconds_left(self) -> float:
        """Return what is left by the clock that is ahead; negative when the moment is over."""
        return min(self.steady - steady(), self.wall - now().timestamp())


@contextmanager
def allowed_until(send_by: SendBy | None) -> Iterator[None]:
    """Let this thread's mutating requests leave until then; None sets no limit."""
    former = getattr(_current, "send_by", None)
    _current.send_by = send_by
    try:
        yield
    finally:
        _current.send_by = former


def check(method: str) -> None:
    """Let a request pass, or refuse to send it.

    Raises:
        CloudError: the request changes something and its deadline has passed; nothing was sent (kind ``too_late``).

    """
    send_by: SendBy | None = getattr(_current, "send_by", None)
    if send_by is not None and method.upper() in MUTATING_METHODS and send_by.seconds_left() <= 0:
        raise CloudError(
            CloudErrorKind.TOO_LATE,
            _("The request was not sent, because this worker had stood still for too long."),
            _("Nothing is lost: it is queued again and sent then."),
        )
