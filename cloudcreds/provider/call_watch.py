"""The time that one call to a cloud may take in all, and how a waiting call is given up.

A time-out of a socket begins anew with each byte, so a body that drips would hold a worker for ever. A thread
of its own therefore looks at the calls that wait: one whose time is over, or whose job should stop, loses its
connection. The transport registers the socket that it waits on, and asks afterwards why it broke.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from django.db import connection

from kmes.core.clock import steady

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
# A call younger than this is not worth a question to the database.
PATIENT_SECONDS = 0.75
_current = threading.local()


class HasDescriptor(Protocol):
    """A socket, or what stands in its place: TLS within TLS, as to a proxy over https, is no socket of Python's."""

    def fileno(self) -> int: ...  # noqa: D102


class GivenUp(Enum):
    """Why a call was given up."""

    OUT_OF_TIME = "out of time"
    STOPPED = "stopped"


@dataclass
class Watch:
    """One call that is being made.

    Attributes:
        deadline: until when it may take, by the steady clock.
        should_stop: whether the job should stop waiting after so many seconds; asked from another thread.
        asked: which service the last request was for, as the provider calls it; None before the first one.
        is_sent: whether the request that is under way began to leave this process.
        given_up: why it was given up; None while it goes on.

    """

    deadline: float
    should_stop: Callable[[float], bool]
    began: float = field(default_factory=steady)
    asked: object = None
    is_sent: bool = False
    given_up: GivenUp | None = None
    _socket: socket.socket | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def seconds_left(self) -> float:
        """Return how long the call may still take; negative when its time is over."""
        return self.deadline - steady()

    def begin_request(self, service: object) -> None:
        """Forget the request before; no byte of the next one, for this service, has left."""
        self.asked, self.is_sent = service, False
        self.end_request()

    def waits_on(self, connecting: HasDescriptor) -> None:
        """Note the socket on which the call waits from now on: for a connection, a handshake or an answer."""
        # A copy, which leads to the same connection: TLS takes the descriptor of the socket that it wraps.
        copy = socket.socket(fileno=os.dup(connecting.fileno()))
        with self._lock:
            former, self._socket = self._socket, copy
        if former is not None:
            former.close()

    def sending(self, connected: HasDescriptor | None) -> None:
        """Note that the request is about to be written to this socket."""
        self.is_sent = True
        if connected is not None:
            self.waits_on(connected)

    def end_request(self) -> None:
        """Let go of the socket: nothing is waited for any more."""
        with self._lock:
            former, self._socket = self._socket, None
        if former is not None:
            former.close()

    def give_up(self, why: GivenUp) -> None:
        """End the wait: what reads from the socket fails at once."""
        self.given_up = why
        with self._lock:
            if self._socket is not None:
                try:
                    self._socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    logger.debug("the connection had ended already")


class _Watcher:
    """The thread that looks at the calls of this process. A fork begins with none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: list[Watch] = []
        self._wake = threading.Event()
        self._pid = 0

    def add(self, watch: Watch) -> None:
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._watches, self._wake = os.getpid(), [], threading.Event()
                threading.Thread(target=self._run, name="call-watch", daemon=True).start()
            self._watches.append(watch)
        self._wake.set()

    def remove(self, watch: Watch) -> None:
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)

    def _run(self) -> None:
        idle = threading.Event()
        while True:
            self._wake.wait()
            with self._lock:
                waiting = list(self._watches)
                if not waiting:
                    self._wake.clear()
            for watch in waiting:
                try:
                    _look(watch)
                except Exception:
                    # One call must not leave all others unwatched.
                    logger.exception("could not look at a waiting call")
            if waiting:
                idle.wait(LOOK_SECONDS)


def _look(watch: Watch) -> None:
    if watch.given_up is not None:
        # It may have been between two requests when its connection was cut.
        watch.give_up(watch.given_up)
    elif watch.seconds_left() <= 0:
        watch.give_up(GivenUp.OUT_OF_TIME)
    elif (lasted := steady() - watch.began) >= PATIENT_SECONDS:
        try:
            if watch.should_stop(lasted):
                watch.give_up(GivenUp.STOPPED)
        except Exception:
            # The job finds out with its next write.
            logger.exception("could not find out whether a waiting call should stop")
        finally:
            connection.close()


_watcher = _Watcher()


def _never(_lasted: float) -> bool:
    return False


@contextmanager
def watched(seconds: float, should_stop: Callable[[float], bool] = _never) -> Iterator[Watch]:
    """Watch the body's requests, which may take ``seconds`` in total."""
    former = current()
    watch = Watch(steady() + seconds, should_stop)
    _current.watch = watch
    _watcher.add(watch)
    try:
        yield watch
    finally:
        _watcher.remove(watch)
        watch.end_request()
        _current.watch = former


def current() -> Watch | None:
    """Return the watch of this thread's call, None outside of one."""
    watch: Watch | None = getattr(_current, "watch", None)
    return watch
