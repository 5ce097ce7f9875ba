"""Sends messages to a syslog server over TLS (RFC 5425), and learns whether it took them.

The protocol has no acknowledgement. So each batch has a connection of its own that ends with ``close_notify``: a
receiver answers it with its own only after it has read everything before it (docs/forwarding.md, "What is confirmed").
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

from kmes.core.errors import InputError
from logging_reports.forwarding import addresses, tls
from logging_reports.forwarding.models import ForwardingDestination

CONNECT_SECONDS = 10
# Without progress for this long, the receiver is taken for stuck.
STALL_SECONDS = 20
# One connection, whatever the receiver does.
HIGHEST_SECONDS = 90
# What the kernel takes ahead of the receiver, so that a stuck one shows soon.
_BUFFER_BYTES = 256 * 1024


class SyslogConnection:
    """One connection for one batch. ``send`` any number of times, then ``confirm``."""

    def __init__(self, destination: ForwardingDestination) -> None:
        self._destination = destination
        self._socket: ssl.SSLSocket | None = None
        self._raw: socket.socket | None = None
        self._timer = threading.Timer(HIGHEST_SECONDS, self._cut)
        self._timer.daemon = True
        self._is_cut = False

    def __enter__(self) -> Self:
        """Connect to a checked address.

        Raises:
            ForwardingError: the receiver can't be reached, or its certificate does not hold.

        """
        context = tls.make_context(self._destination)
        try:
            address = addresses.resolve(self._destination)
            self._raw = socket.create_connection((address, self._destination.port), CONNECT_SECONDS)
            self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            self._timer.start()
            # The handshake follows once the socket can be cut: wrapping takes the plain one away.
            self._socket = context.wrap_socket(
                self._raw, server_hostname=self._destination.host, do_handshake_on_connect=False
            )
            self._socket.do_handshake()
            self._socket.settimeout(STALL_SECONDS)
        except (OSError, ValueError, InputError) as error:
            self._close()
            raise self._explain(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection, whatever state it is in."""
        self._close()

    def send(self, messages: Iterable[bytes]) -> None:
        """Send messages, each with its length in front (RFC 5425, section 4.3).

        Raises:
            ForwardingError: the connection broke, or the receiver takes no more data.

        """
        assert self._socket is not None
        data = b"".join(b"%d %b" % (len(message), message) for message in messages)
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._explain(error) from error

    def confirm(self) -> None:
        """Say that this is all, and wait until the receiver has read it.

        Raises:
            ForwardingError: it is not known whether the receiver read everything.

        """
        assert self._socket is not None
        try:
            # Sends close_notify and waits for the receiver's. An end without one is an error.
            self._socket.unwrap()
        except OSError as error:
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> Exception:
        return tls.explain(TimeoutError() if self._is_cut else error)

    def _cut(self) -> None:
        self._is_cut = True
        if self._raw is not None:
            with suppress(OSError):
                # Not the TLS socket's own method, after which it would send without encryption.
                socket.socket.shutdown(self._socket or self._raw, socket.SHUT_RDWR)

    def _close(self) -> None:
        self._timer.cancel()
        for each in (self._socket, self._raw):
            if each is not None:
                with suppress(OSError):
                    each.close()
