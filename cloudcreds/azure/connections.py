"""The connections of the guarded transport: each is noted with its call's watch from its first packet on.

So a call ends in time wherever it waits: for a dead address, for a proxy, in a handshake, for an answer. A connection on
which more came than was asked for is not used again.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from cloudcreds.provider import call_watch, send_deadline
from cloudcreds.provider.call_watch import Watch
from kmes.core.failpoints import failpoint

# For one address. A name may have several, some unreachable, such as IPv6 addresses in a network without IPv6.
CONNECT_SECONDS = 5


class _Watched(HTTPConnection):
    """Tells the watch what the call waits on, and that its request is about to be written: until then it has no effect."""

    def _new_conn(self) -> socket.socket:
        watch = call_watch.current()
        if watch is None:
            return super()._new_conn()
        try:
            return _connect(self.host, self.port, self.socket_options or (), watch)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "the connection timed out") from error
        except OSError as error:
            raise NewConnectionError(self, f"no connection: {error}") from error

    @property
    def is_connected(self) -> bool:
        """Whether the connection stands and is silent. What TLS has taken from the socket already shows there no more."""
        pending = getattr(self.sock, "pending", None)
        return super().is_connected and not (pending is not None and pending())

    def request(self, method: str, *arguments: Any, **options: Any) -> None:
        # With TLS the pool connects first; without it, a failure to connect would count as sent.
        if self.sock is None:
            self.connect()
        if (watch := call_watch.current()) is not None:
            watch.sending(self.sock)
        super().request(method, *arguments, **options)


class _PlainConnection(_Watched):
    """Without TLS: to the metadata service of the worker's own host alone."""


class _Connection(_Watched, HTTPSConnection):
    """With TLS."""


class _VaultConnection(_Connection):
    """Checks the send deadline too, when the connection stands and the request is about to be written."""

    def request(self, method: str, *arguments: Any, **options: Any) -> None:
        if method in send_deadline.MUTATING_METHODS:
            failpoint(f"azure.sending_{method.lower()}")
        send_deadline.check(method)
        super().request(method, *arguments, **options)


class PlainPool(HTTPConnectionPool):
    """Connections without TLS."""

    ConnectionCls = _PlainConnection


class Pool(HTTPSConnectionPool):
    """Connections to a service that nothing changes."""

    ConnectionCls = _Connection


class VaultPool(HTTPSConnectionPool):
    """Connections to a vault."""

    ConnectionCls = _VaultConnection


def _connect(host: str, port: int, options: Sequence[Any], watch: Watch) -> socket.socket:
    """Connect to the first address of a host that answers, while the call has time.

    Raises:
        OSError: none did, or the call was given up.

    """
    failure: OSError = TimeoutError("no time is left")
    for family, kind, protocol, _name, address in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM):
        seconds = min(CONNECT_SECONDS, watch.seconds_left())
        if watch.given_up is not None or seconds <= 0:
            break
        tried = socket.socket(family, kind, protocol)
        try:
            for option in options:
                tried.setsockopt(*option)
            tried.settimeout(seconds)
            watch.waits_on(tried)
            tried.connect(address)
        except OSError as error:
            tried.close()
            failure = error
        else:
            return tried
    raise failure
