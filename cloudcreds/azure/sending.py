"""Until when a changing request may leave this process, checked as its bytes are about to go out.

A worker can stand still anywhere (a frozen virtual machine, SIGSTOP, a long garbage collection), and
what it sends after that surprises whoever took its job over in the meantime. So a changing call has a
moment after which it must not leave any more, and the connection itself asks for it: after the token,
the challenge and the handshake, in the last line before the request is written. Reading requests pass.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError as SdkError
from azure.core.pipeline.transport import RequestsTransport
from requests import Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.util import Retry

from kmes.core.clock import now, steady
from kmes.core.failpoints import failpoint

CHANGING = frozenset({"PUT", "POST", "PATCH", "DELETE"})
_current = threading.local()


class TooLateToSend(SdkError):
    """The request was not sent: its time was over."""


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
    """Let this thread's changing requests leave until then; None sets no limit."""
    former = getattr(_current, "send_by", None)
    _current.send_by = send_by
    try:
        yield
    finally:
        _current.send_by = former


def check(method: str) -> None:
    """Let a request pass, or not.

    Raises:
        TooLateToSend: it changes something and its time is over; nothing was sent.

    """
    send_by: SendBy | None = getattr(_current, "send_by", None)
    if send_by is not None and method.upper() in CHANGING and send_by.seconds_left() <= 0:
        raise TooLateToSend("The request was not sent: this process stood still for too long.")


class _Connection(HTTPSConnection):
    """Asks once more when the connection stands and the request is about to be written."""

    def request(self, method: str, *arguments: Any, **options: Any) -> None:
        if method in CHANGING:
            failpoint(f"azure.sending_{method.lower()}")
        check(method)
        super().request(method, *arguments, **options)


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {**self.poolmanager.pool_classes_by_scheme, "https": _Pool}

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "https": _Pool}
        return manager


class GuardedTransport(RequestsTransport):  # type: ignore[misc]
    """The SDK's transport, on connections that know until when a request may leave."""

    def _init_session(self, session: Session) -> None:
        super()._init_session(session)
        session.mount("https://", _Adapter(max_retries=Retry(total=False, redirect=False, raise_on_status=False)))
