"""One request to a checked address: no redirect, a limit for the whole exchange and for the answer.

Who calls it has looked up the host and checked the address (``notices.webhook_addresses``), or names a proxy, which then
looks it up. TLS verifies the host's name.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from logging_reports.notices.webhook_addresses import Target


class AnswerTooLargeError(OSError):
    """The receiver answered with more bytes than allowed."""


@dataclass(frozen=True)
class Answer:
    """What the receiver answered. ``body`` is empty unless it was asked for."""

    status: int
    reason: str
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy that opens a tunnel (CONNECT). ``headers`` may hold its password."""

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict, repr=False)


def send(
    target: Target,
    address: str,
    body: bytes,
    headers: dict[str, str],
    *,
    ca_file: str,
    seconds: float,
    highest_bytes: int = 0,
    context: ssl.SSLContext | None = None,
    method: str = "POST",
    proxy: Proxy | None = None,
) -> Answer:
    """Send a request to one address of the host and return the answer, whatever its status is.

    ``ca_file`` names the CA certificates to trust instead of the system's, "" those; ``context`` overrides it. Up to
    ``highest_bytes`` of the answer's body are read; with 0 it is left unread. With a proxy the address is not used.

    Raises:
        OSError: the address can't be reached, the exchange lasts longer than ``seconds``, or the answer is too large.
        HTTPException: the answer is not HTTP.

    """
    tls = context or (ssl.create_default_context(cafile=ca_file or None) if target.scheme == "https" else None)
    connection = _PinnedConnection(target, address, tls=tls, seconds=seconds, proxy=proxy)
    # A receiver that sends single bytes never exceeds the read time-out. This limits the total.
    timer = threading.Timer(seconds, connection.cut)
    timer.start()
    try:
        connection.request(method, target.path, body or None, headers)
        answer = connection.getresponse()
        content = answer.read(highest_bytes + 1) if highest_bytes else b""
        if connection.is_cut:
            # What came until then may look whole.
            raise TimeoutError
        if len(content) > highest_bytes:
            message = f"the answer is larger than {highest_bytes} bytes"
            raise AnswerTooLargeError(message)
        return Answer(answer.status, answer.reason, answer.headers.get_content_type(), content)
    finally:
        timer.cancel()
        connection.end()


class _PinnedConnection(http.client.HTTPConnection):
    """A connection to one address of the host, or through a proxy. TLS verifies the host's name."""

    def __init__(
        self, target: Target, address: str, *, tls: ssl.SSLContext | None, seconds: float, proxy: Proxy | None
    ) -> None:
        first = proxy or target
        super().__init__(first.host, first.port, timeout=seconds)
        if proxy is not None:
            self.set_tunnel(target.host, target.port, proxy.headers)
        self._proxy = proxy
        self._target, self._address, self._tls, self._seconds = target, address, tls, seconds
        self.is_cut = False
        # The base class drops its own reference when an answer ends with the connection, before the body is read.
        self._open: socket.socket | None = None
        self._answers: list[http.client.HTTPResponse] = []

    # The base class has a class here and calls it.
    def response_class(self, *given: Any, **named: Any) -> http.client.HTTPResponse:  # type: ignore[override]
        """Make an answer, and know it."""
        self._answers.append(http.client.HTTPResponse(*given, **named))
        return self._answers[-1]

    def connect(self) -> None:
        """Connect to the checked address, or through the proxy.

        Raises:
            OSError: the address can't be reached in time, or the proxy refuses.

        """
        if self._proxy is not None:
            super().connect()
            self._open = self.sock
        else:
            self.sock = self._open = socket.create_connection((self._address, self._target.port), self._seconds)
        if self._tls is not None:
            # The handshake later: TLS takes the socket over, and it has to be known here before it waits for anything.
            self.sock = self._open = self._tls.wrap_socket(
                self.sock, server_hostname=self._target.host, do_handshake_on_connect=False
            )
        if self.is_cut:
            raise TimeoutError
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()

    def end(self) -> None:
        """Close the connection and all that came on it.

        An answer holds the socket too, also that of a proxy which refuses: closing the connection alone would leave it
        open as long as the error is kept.
        """
        self.close()
        for answer in self._answers:
            answer.close()

    def cut(self) -> None:
        """Close the connection from another thread, so that a blocked read fails."""
        self.is_cut = True
        # While a proxy opens the tunnel, the base class alone knows the socket.
        opened = self._open or self.sock
        if opened is not None:
            with suppress(OSError):
                # Not TLS's own way, after which the next read would take the bytes of the network as they come.
                socket.socket.shutdown(opened, socket.SHUT_RDWR)
