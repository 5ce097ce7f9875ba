"""The web process's connections: a gunicorn worker that receives requests whole before a thread sees them.

gunicorn starts and watches the processes; waitress reads the sockets. A client that is idle, drips its request or
reads slowly costs a socket and no thread (docs/reliability.md, "Web server"), and so does a request that is held
(``kmes.web_holds``). Knows nothing of Django.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from typing import Any

from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge

from kmes.web_holds import HELD_SECONDS, HeldBack, HoldingTask, Holds, holding

logger = logging.getLogger("kmes.web")

# From a request's first byte; from the connection's start or its last answer when there is none.
HEADER_SECONDS = 10
REQUEST_SECONDS = 30
# Without a byte read from an answer.
STALLED_SECONDS = 30
CHECK_SECONDS = 1
TURN_SECONDS = 0.5
# Sockets of a process. Above this number, connections of the address with the most are closed first.
MAX_CONNECTIONS = 450
MAX_HEADER_BYTES = 32_768
# The largest form names a thousand keys; the one file that a page takes, a certificate, is smaller.
MAX_BODY_BYTES = 524_288
# Of all unfinished requests together; those with less than SMALL_BODY_BYTES are not counted.
MAX_UNFINISHED_BYTES = 16_777_216
SMALL_BODY_BYTES = 32_768
METHODS_WITH_BODY = frozenset({"POST"})


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses a body as soon as the header shows that none is expected or that its length is ambiguous."""

    content_length: int = 0
    chunked: bool = False

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header; a request with an error is answered without its body."""
        super().parse_header(header_plus)
        if (self.content_length or self.chunked) and self.command not in METHODS_WITH_BODY:
            self._refuse(RequestEntityTooLarge("this method takes no body"))
        elif self.chunked and "CONTENT_LENGTH" in self.headers:
            # A proxy that uses the other header would see different requests after this one (RFC 9112, section 6.3).
            self._refuse(BadRequest("a body has one length"))
        elif "TRANSFER_ENCODING" in self.headers:
            # waitress removes the header if it applied it, in HTTP/1.1. A proxy may apply it in other versions (RFC 9112, section 6.1).
            self._refuse(BadRequest("a transfer encoding of another version"))

    def _refuse(self, error: Error) -> None:
        self.error = error
        self.body_rcv, self.content_length, self.chunked = None, 0, False
        self.connection_close = True


class Connection(HTTPChannel):  # type: ignore[misc]
    """One client's connection, with the time since which a request is expected from it."""

    parser_class = Parser
    task_class = HoldingTask
    requests: list[Any]
    # Until when its current request may be held; None if it was not held.
    held_until: float | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.owes_since = time.monotonic()
        super().__init__(*arguments, **options)

    def received(self, data: bytes) -> bool:
        """Take bytes of a request."""
        if self.request is None and not self.requests:
            self.owes_since = time.monotonic()
        result = bool(super().received(data))
        if self.unfinished_bytes > SMALL_BODY_BYTES and self.server.has_too_much_unfinished():
            self.will_close = True
        return result

    def service(self) -> None:
        """Answer one request, or hold it."""
        # A held request began long ago: between its answer and the line below the connection must not seem overdue.
        self.owes_since = time.monotonic()
        try:
            super().service()
        except HeldBack as held:
            if self.held_until is None:
                self.held_until = time.monotonic() + HELD_SECONDS
            self.server.holds.add(self, held.wish)
            # The main thread has to watch whether the client disconnects.
            self.server.pull_trigger()
            return
        self.held_until = None
        self.owes_since = time.monotonic()

    @property
    def is_held(self) -> bool:
        """Whether its request waits without a thread."""
        return self.server.holds is not None and self.server.holds.is_held(self)

    def readable(self) -> bool:
        """Return whether to read: also while a request is held, to notice that the client disconnects."""
        return bool(super().readable()) or (self.is_held and not self.will_close)

    def handle_read(self) -> None:
        """Take bytes. A client that sends more while its request is held gets its answer at once."""
        super().handle_read()
        if self.connected and self.is_held:
            self.server.holds.release(self)

    def handle_close(self) -> None:
        """Close the connection, and forget the request that is held."""
        if self.server.holds is not None and self.server.holds.discard(self):
            for request in self.requests:
                request.close()
            self.requests = []
        super().handle_close()

    @property
    def unfinished_bytes(self) -> int:
        """How much of an unfinished request's body is held."""
        request = self.request
        return request.body_bytes_received if request is not None else 0

    def is_overdue(self, moment: float, wall: float) -> bool:
        """Return whether the client's time is over, for sending the request or for reading the answer."""
        if self.total_outbufs_len:
            return wall - self.last_activity > STALLED_SECONDS
        if self.requests:
            return False
        request = self.request
        has_header = request is not None and request.headers_finished
        return moment - self.owes_since > (REQUEST_SECONDS if has_header else HEADER_SECONDS)

    @property
    def is_served(self) -> bool:
        """Whether a whole request is being answered."""
        return bool(self.requests)


class Server(TcpWSGIServer):  # type: ignore[misc]
    """Accepts connections and closes those that block others."""

    channel_class = Connection
    holds: Holds | None = None
    is_full_reported = False

    def handle_accept(self) -> None:
        """Accept a connection. If there are too many, close one of the address with the most."""
        super().handle_accept()
        if len(self.active_channels) > MAX_CONNECTIONS:
            self._close_one()

    def _close_one(self) -> None:
        channels = [each for each in self.active_channels.values() if not each.will_close]
        by_address = Counter(each.addr[0] for each in channels)
        waiting = [each for each in channels if not each.is_served]
        if waiting:
            victim = max(waiting, key=lambda each: (by_address[each.addr[0]], -each.owes_since))
            victim.handle_close()
        if not self.is_full_reported:
            self.is_full_reported = True
            logger.warning("more than %d connections: the oldest without a request are closed", MAX_CONNECTIONS)

    def has_too_much_unfinished(self) -> bool:
        """Return whether unfinished requests hold more memory than they may."""
        return sum(each.unfinished_bytes for each in self.active_channels.values()) > MAX_UNFINISHED_BYTES

    def maintenance(self, now: float) -> None:
        """Close connections whose time is over."""
        moment = time.monotonic()
        for each in list(self.active_channels.values()):
            if each.is_overdue(moment, now):
                # At once: a socket whose client reads nothing never becomes writable, which ``will_close`` waits for.
                each.handle_close()
        if len(self.active_channels) < MAX_CONNECTIONS // 2:
            self.is_full_reported = False


class BufferedWorker(Worker):  # type: ignore[misc]
    """A gunicorn worker whose main thread reads and writes sockets, and whose other threads run the application."""

    def run(self) -> None:
        """Serve until stopped, then finish the requests in progress."""
        options = Adjustments(
            threads=self.cfg.threads,
            # Not used: the sockets are gunicorn's.
            listen="127.0.0.1:0",
            # Django decides which proxies to trust (KMES_BEHIND_TLS_PROXY, KMES_TRUSTED_PROXIES).
            clear_untrusted_proxy_headers=False,
            connection_limit=2 * MAX_CONNECTIONS,
            cleanup_interval=CHECK_SECONDS,
            channel_timeout=STALLED_SECONDS,
            max_request_header_size=MAX_HEADER_BYTES,
            max_request_body_size=MAX_BODY_BYTES,
            inbuf_overflow=MAX_BODY_BYTES,
            asyncore_use_poll=True,
            backlog=self.cfg.backlog,
            ident=None,
        )
        # A queue of waiting requests is normal and needs no warning.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(options.threads)
        sockets: dict[int, Any] = {}
        application, holds = holding(self.wsgi), Holds()
        servers = [
            Server(application, sockets, True, each, dispatcher, options, _place(each), bind_socket=False)
            for each in (listener.sock for listener in self.sockets)
        ]
        for server in servers:
            server.holds = holds
        holds.start()
        while self.alive and self.ppid == os.getppid():
            self._turn(sockets)
        for server in servers:
            # The socket is gunicorn's; another process may still use it.
            server.del_channel()
        holds.close()
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while time.monotonic() < deadline and any(map(_is_busy, servers)):
            self._turn(sockets)
        dispatcher.shutdown(timeout=1)

    def _turn(self, sockets: dict[int, Any]) -> None:
        self.notify()
        wasyncore.loop(timeout=TURN_SECONDS, use_poll=True, map=sockets, count=1)


def _place(listener: Any) -> tuple[Any, ...]:
    return (listener.family, listener.type, listener.proto, listener.getsockname())


def _is_busy(server: Server) -> bool:
    return any(each.is_served or each.total_outbufs_len for each in server.active_channels.values())
