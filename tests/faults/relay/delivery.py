"""Writes an answer to a client's connection, whole or damaged."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.relay.calls import Answer
from tests.faults.relay.damages import Damage, Ending, Framing

PIECE = 65536
WHOLE = Damage()
# How often a wait looks whether the relay stops or the client has gone.
LOOK_SECONDS = 0.05


class ConnectionOver(Exception):
    """The connection is closed, or must be; nothing more is read from it or written to it."""


def reset(connection: socket.socket) -> None:
    """Close a connection with a TCP RST, which also discards what was not read yet."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Not close(): file objects made of the socket would keep it open.
    descriptor = connection.detach()
    if descriptor >= 0:
        os.close(descriptor)


def head_of(answer: Answer, framing: list[tuple[str, str]]) -> bytes:
    """Return the status line and all headers as bytes."""
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}".rstrip()]
    lines += [f"{name}: {value}" for name, value in (*answer.headers, *framing)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


@dataclass(frozen=True)
class Ends:
    """What ends a wait: the relay stops, or all that is silent or slow is let go."""

    stopped: threading.Event
    released: threading.Event

    def is_released(self) -> bool:
        """Return whether silence and drips end."""
        return self.stopped.is_set() or self.released.is_set()


class Delivery:
    """One answer on its way to one client."""

    def __init__(self, connection: socket.socket, answer: Answer, damage: Damage, ends: Ends) -> None:
        self._connection, self._answer, self._damage, self._ends = connection, answer, damage, ends
        self.sent_bytes = 0

    def send(self) -> None:
        """Send it.

        Raises:
            ConnectionOver: the connection can't be used any more.

        """
        if self._damage.cut_head is not None:
            self._write(head_of(self._answer, self._framing())[: self._damage.cut_head])
            self._end()
        self._write(head_of(self._answer, self._framing()))
        for piece in self._pieces():
            self._write(self._wrapped(piece))
            self.sent_bytes += len(piece)
            self.pause(self._damage.drip_seconds)
            if self._damage.drip_seconds and self._ends.is_released():
                raise ConnectionOver
        if self._damage.cut is not None and self._damage.framing != Framing.SENT:
            self._end()
        if self._damage.framing == Framing.CHUNKED:
            self._write(b"0\r\n\r\n")
        if self._damage.framing == Framing.CLOSE:
            raise ConnectionOver

    def pause(self, seconds: float) -> None:
        """Let time pass; raises ConnectionOver when the relay stops meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            # A delayed request arrives also when nothing is damaged any more.
            if self._ends.stopped.is_set():
                raise ConnectionOver
            time.sleep(min(left, LOOK_SECONDS))

    def hang(self) -> None:
        """Stay silent until the client goes or is let go."""
        self._connection.settimeout(LOOK_SECONDS)
        while not self._ends.is_released():
            try:
                if not self._connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        raise ConnectionOver

    # --- the parts of an answer ------------------------------------------------------------------
    def _length(self) -> int:
        return len(self._answer.body) + self._damage.pad

    def _length_sent(self) -> int:
        cut = self._damage.cut
        return self._length() if cut is None else min(cut, self._length())

    def _framing(self) -> list[tuple[str, str]]:
        match self._damage.framing:
            case Framing.CHUNKED:
                return [("Transfer-Encoding", "chunked")]
            case Framing.CLOSE:
                return [("Connection", "close")]
            case Framing.SENT:
                return [("Content-Length", str(self._length_sent()))]
            case Framing.WHOLE:
                # No body may be announced for these (RFC 9110, 6.4.1).
                bodiless = self._answer.status in {204, 304} and not self._length()
                return [] if bodiless else [("Content-Length", str(self._length()))]

    def _pieces(self) -> Iterator[bytes]:
        size = self._damage.drip_bytes if self._damage.drip_seconds else PIECE
        left, body = self._length_sent(), self._answer.body
        for start in range(0, min(left, len(body)), size):
            yield body[start : min(start + size, left)]
        left -= min(left, len(body))
        while left > 0:
            yield b" " * min(size, left)
            left -= min(size, left)

    def _wrapped(self, piece: bytes) -> bytes:
        return b"%x\r\n%s\r\n" % (len(piece), piece) if self._damage.framing == Framing.CHUNKED else piece

    def _write(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise ConnectionOver from error

    def _end(self) -> None:
        if self._damage.ending == Ending.RESET:
            reset(self._connection)
        elif self._damage.ending == Ending.HANG:
            self.hang()
        raise ConnectionOver
