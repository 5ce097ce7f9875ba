"""Requests that the web server holds until something changes: each costs a socket and no thread.

A view asks for it (``kmes.core.holds``). The server discards the view's response and passes the request to the application again
when the word of its source has changed or its time is over. Must not import Django.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from waitress.task import WSGITask

from kmes.core.holds import ENVIRONMENT_KEY, Source

logger = logging.getLogger("kmes.web")

# Below the time-outs of common proxies, the shortest of which is half a minute.
HELD_SECONDS = 25.0
# Shorter while sources change; reading them as often for a hundred idle pages would cost too much.
LOOK_SECONDS = 0.05
CALM_LOOK_SECONDS = 0.15
CALM_AFTER_SECONDS = 10.0
# Limits of a process and of one user in it. A request beyond them is answered at once; its page asks again later.
MAX_HELD = 200
MAX_HELD_OF_OWNER = 12
# Released at a time, so that other pages get a thread: the newest, whose user has just acted, and the oldest.
RELEASED_NEWEST, RELEASED_OLDEST = 2, 3


class ThreadPool(Protocol):
    """What gives a connection's request to a thread of the application."""

    def add_task(self, task: Any) -> None:
        """Have a thread call the ``service`` of this connection."""


class HeldConnection(Protocol):
    """What this module needs of a client's connection (``kmes.web_server.Connection``)."""

    requests: list[Any]
    request: Any
    held_until: float | None
    connected: bool
    server: ThreadPool


@dataclass(frozen=True)
class Wish:
    """What a view waits for: that the source has another word than this one."""

    source: Source
    word: str
    owner: str


class HeldBack(BaseException):
    """Ends the task of a request that is held. Not an ``Exception``, because waitress answers those with an error."""

    def __init__(self, wish: Wish) -> None:
        super().__init__()
        self.wish = wish


class Offer:
    """What the environment of a request offers to a view (``kmes.core.holds.Hold``)."""

    def __init__(self, holds: Holds, connection: HeldConnection) -> None:
        self._holds, self._connection = holds, connection
        self.wish: Wish | None = None

    @property
    def is_over(self) -> bool:
        """Whether the request has been held for as long as it may be."""
        until = self._connection.held_until
        return until is not None and time.monotonic() >= until

    def ask(self, source: Source, word: str, *, owner: str) -> bool:
        """Ask the server to hold the request. Return False if it can't."""
        # A partial request counts too: each byte of it would run the application again.
        has_sent_more = len(self._connection.requests) > 1 or self._connection.request is not None
        if self.is_over or has_sent_more or not self._holds.has_room_for(owner):
            return False
        self.wish = Wish(source, word, owner)
        return True


class Holds:
    """The held requests of a process. A thread reads their sources and releases requests whose word has changed."""

    def __init__(self) -> None:
        self._held: dict[HeldConnection, Wish] = {}
        self._changed = threading.Condition()
        self._is_closed = False

    def start(self) -> None:
        """Start the thread that reads the sources."""
        threading.Thread(target=self._run, name="kmes-holds", daemon=True).start()

    def has_room_for(self, owner: str) -> bool:
        """Return whether one more request may be held."""
        with self._changed:
            own = sum(wish.owner == owner for wish in self._held.values())
            return not self._is_closed and len(self._held) < MAX_HELD and own < MAX_HELD_OF_OWNER

    def add(self, connection: HeldConnection, wish: Wish) -> None:
        """Hold the request of a connection."""
        with self._changed:
            self._held[connection] = wish
            self._changed.notify_all()
            is_late = self._is_closed or not connection.connected
        if is_late:
            self.release(connection)

    def is_held(self, connection: HeldConnection) -> bool:
        """Return whether the connection's request is held."""
        return connection in self._held

    def discard(self, connection: HeldConnection) -> bool:
        """Remove a connection. Return whether it was held; only the caller that gets True continues with it."""
        with self._changed:
            return self._held.pop(connection, None) is not None

    def release(self, connection: HeldConnection) -> None:
        """Give the request to the application again."""
        if self.discard(connection):
            connection.server.add_task(connection)

    def close(self) -> None:
        """Release all requests and hold no others."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for connection in list(self._held):
            self.release(connection)

    def _run(self) -> None:
        changed_at = time.monotonic()
        while not self._is_closed:
            with self._changed:
                self._changed.wait_for(lambda: self._held or self._is_closed)
            if self.look():
                changed_at = time.monotonic()
            is_calm = time.monotonic() - changed_at > CALM_AFTER_SECONDS
            time.sleep(CALM_LOOK_SECONDS if is_calm else LOOK_SECONDS)

    def look(self) -> bool:
        """Release some requests whose word has changed or whose time is over. Return whether a word has changed."""
        with self._changed:
            held = dict(self._held)
        words = {source: _read(source) for source in {wish.source for wish in held.values()}}
        moment = time.monotonic()
        due = [
            connection
            for connection, wish in held.items()
            if words[wish.source] != wish.word or moment >= (connection.held_until or 0)
        ]
        for connection in {*due[:RELEASED_OLDEST], *due[-RELEASED_NEWEST:]}:
            self.release(connection)
        return any(words[wish.source] != wish.word for wish in held.values())


def _read(source: Source) -> str:
    """Return the word of a source, or "" if it fails: requests that wait for it are answered, the others stay held."""
    try:
        return source.read()
    except Exception:
        logger.exception("what held requests wait for can't be read")
        return ""


class HoldingTask(WSGITask):  # type: ignore[misc]
    """A task whose environment offers to hold its request."""

    def get_environment(self) -> dict[str, Any]:
        """Return the environment of the request."""
        environment: dict[str, Any] = super().get_environment()
        if self.channel.server.holds is not None:
            environment.setdefault(ENVIRONMENT_KEY, Offer(self.channel.server.holds, self.channel))
        return environment


Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def holding(application: Application) -> Application:
    """Return the application with its response discarded if the view asked to hold the request."""

    def answer(environment: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        response = application(environment, start_response)
        offer = environment.get(ENVIRONMENT_KEY)
        if offer is None or offer.wish is None:
            return response
        if close := getattr(response, "close", None):
            close()
        raise HeldBack(offer.wish)

    return answer
