"""Serves the calls of one client connection: reads them, asks the service, damages and delivers the answers."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.faults.relay.calls import Answer, Call, Seen
from tests.faults.relay.damages import Damage, When
from tests.faults.relay.delivery import WHOLE, ConnectionOver, Delivery, Ends, reset
from tests.faults.relay.rules import RuleList
from tests.faults.relay.upstream import ServiceLost, Upstream


@dataclass
class Desk:
    """What all connections of one relay share: the rules, the record, and whether it stops."""

    rules: RuleList
    seen: list[Seen] = field(default_factory=list)
    # Connections that never came to a call, in words: a client that trusts no certificate of ours, for example.
    failed_handshakes: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """End what is silent or slow now; what comes later is not touched."""
        self.released.set()
        self.released = threading.Event()

    def note(self, seen: Seen) -> None:
        """Keep a record, in the order in which calls came."""
        with self.lock:
            self.seen.append(seen)


class _Parser(BaseHTTPRequestHandler):
    """Reads the head of one request; http.server's parser without its server."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self.rfile = stream
        self.client_address = ("", 0)
        self.problem = ""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Keep what is wrong with the request."""
        self.problem = f"{code} {message}"


def read_call(stream: io.BufferedReader, host: str, port: int) -> Call | None:
    """Read one request completely; None when the client has gone or speaks no HTTP."""
    parser = _Parser(stream)
    parser.raw_requestline = stream.readline(65537)
    if not parser.raw_requestline or not parser.parse_request():
        return None
    length = int(parser.headers.get("Content-Length") or 0)
    body = stream.read(length)
    if len(body) < length:
        return None
    return Call(parser.command, parser.path, tuple(parser.headers.items()), body, host, port)


def serve(connection: socket.socket, host: str, port: int, upstream: Upstream, desk: Desk) -> None:
    """Serve a client until it goes, or until damage ends the connection."""
    stream = connection.makefile("rb")
    with contextlib.suppress(ConnectionOver, OSError):
        while not desk.stopped.is_set() and (call := read_call(stream, host, port)) is not None:
            seen = Seen(call, time.monotonic())
            desk.note(seen)
            with _timed(seen):
                _answer(connection, call, seen, upstream, desk)
            if call.header("Connection").lower() == "close":
                break
    with contextlib.suppress(OSError):
        stream.close()


@contextlib.contextmanager
def _timed(seen: Seen) -> Iterator[None]:
    try:
        yield
    finally:
        seen.ended_at = time.monotonic()


def _answer(connection: socket.socket, call: Call, seen: Seen, upstream: Upstream, desk: Desk) -> None:
    damage = desk.rules.take(call)
    seen.damage = "" if damage is None else str(damage)
    own = damage or WHOLE
    ends = Ends(desk.stopped, desk.released)
    waiting = Delivery(connection, Answer(0, ""), own, ends)
    if own.when == When.BEFORE:
        waiting.pause(own.delay)
    if own.when == When.AFTER or own.is_delay_only:
        seen.was_forwarded = True
        try:
            seen.answer = upstream.ask(call)
        except ServiceLost as lost:
            seen.failures.append(str(lost))
            reset(connection)
            raise ConnectionOver from lost
    if own.when == When.AFTER:
        waiting.pause(own.delay)
    _end_silently(connection, own, waiting)
    answer = own.applied(call, seen.answer)
    delivery = Delivery(connection, answer, own, ends)
    seen.sent_status = answer.status
    try:
        delivery.send()
    finally:
        seen.sent_bytes = delivery.sent_bytes


def _end_silently(connection: socket.socket, damage: Damage, waiting: Delivery) -> None:
    if damage.reset:
        reset(connection)
        raise ConnectionOver
    if damage.hang:
        waiting.hang()
