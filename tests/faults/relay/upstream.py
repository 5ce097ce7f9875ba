"""The way from the relay to the real service, over one connection that is kept while the client keeps its own."""

from __future__ import annotations

import contextlib
import http.client
import select
import ssl
from collections.abc import Callable

from tests.faults.relay.calls import Answer, Call

# What belongs to one connection and not to the message (RFC 9110, 7.6.1), and the framing we set ourselves.
HOP_BY_HOP = {"connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade"}
FRAMING = {"content-length", "transfer-encoding"}
SECONDS = 60.0


class ServiceLost(Exception):
    """The service refused the connection or broke it before its answer was complete."""


class Upstream:
    """One service at one address.

    ``translate`` rewrites addresses in texts: the service names itself, and its clients must come back to us.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext, translate: Callable[[str], str]) -> None:
        self._host, self._port, self._context, self._translate = host, port, context, translate
        self._connection: http.client.HTTPSConnection | None = None

    def ask(self, call: Call) -> Answer:
        """Forward a call and read its whole answer.

        Raises:
            ServiceLost: no complete answer came.

        """
        try:
            connection = self._open()
            connection.putrequest(call.method, call.target, skip_host=True, skip_accept_encoding=True)
            for name, value in call.headers:
                if name.lower() not in HOP_BY_HOP | FRAMING:
                    connection.putheader(name, value)
            if call.body or call.header("Content-Length"):
                connection.putheader("Content-Length", str(len(call.body)))
            connection.endheaders(call.body or None)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ServiceLost(str(error)) from error
        headers = tuple(
            (name, self._translate(value))
            for name, value in response.getheaders()
            if name.lower() not in HOP_BY_HOP | FRAMING
        )
        return Answer(response.status, response.reason, headers, self._translated(response, body))

    def _translated(self, response: http.client.HTTPResponse, body: bytes) -> bytes:
        if "json" not in response.headers.get("Content-Type", ""):
            return body
        return self._translate(body.decode()).encode()

    def _open(self) -> http.client.HTTPSConnection:
        if self._connection is not None and _is_stale(self._connection):
            self.close()
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._host, self._port, context=self._context, timeout=SECONDS
            )
        return self._connection

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None


def _is_stale(connection: http.client.HTTPSConnection) -> bool:
    # A service that has nothing to say and is readable has closed the connection.
    return connection.sock is not None and bool(select.select([connection.sock], [], [], 0)[0])
