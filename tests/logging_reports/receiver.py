"""What notices are sent to in tests: a strict HTTP receiver and a strict SMTP server, both on loopback."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.http_servers import serving


@dataclass
class Received:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP server that answers what ``statuses`` holds, one after the other, then 204."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook?team=a"


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Run an HTTP receiver."""
    state = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.received.append(Received(self.path, dict(self.headers), body))
            self.send_response(state.statuses.pop(0) if state.statuses else 204)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with serving(Handler) as state.port:
        yield state


@dataclass
class Mailbox:
    """An SMTP server's messages: sender, recipients, text. ``refuse`` answers 451 to that many messages."""

    port: int = 0
    messages: list[tuple[str, list[str], str]] = field(default_factory=list)
    refuse: int = 0


@contextmanager
def running_mailbox() -> Iterator[Mailbox]:
    """Run an SMTP server that takes the commands in the order RFC 5321 gives, and no other."""
    box, listener = Mailbox(), socket.create_server(("127.0.0.1", 0))
    box.port = listener.getsockname()[1]

    def serve() -> None:
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                _converse(stream, box)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield box
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _converse(stream, box: Mailbox) -> None:
    sender, recipients = "", []
    _say(stream, "220 test ESMTP")
    while line := stream.readline().decode().rstrip("\r\n"):
        verb = line.upper()
        answer = "250 ok"
        if verb.startswith("MAIL FROM:<"):
            sender, recipients = line[11:].partition(">")[0], []
        elif verb.startswith("RCPT TO:<") and sender:
            recipients.append(line[9:].partition(">")[0])
        elif verb == "DATA" and recipients:
            answer = _take(stream, box, sender, recipients)
        elif verb == "QUIT":
            answer = "221 bye"
        elif not verb.startswith(("EHLO ", "HELO ", "RSET")):
            answer = "503 not now"
        _say(stream, answer)


def _take(stream, box: Mailbox, sender: str, recipients: list[str]) -> str:
    _say(stream, "354 go on")
    lines = []
    while (line := stream.readline().decode().rstrip("\r\n")) != ".":
        lines.append(line)
    if box.refuse:
        box.refuse -= 1
        return "451 try again later"
    box.messages.append((sender, recipients, "\n".join(lines)))
    return "250 taken"


def _say(stream, line: str) -> None:
    stream.write(line.encode() + b"\r\n")
    stream.flush()
