"""Connections in memory: what a client writes is answered by a function, and damage is done on the way back.

Takes the place of the TCP and TLS connection below urllib3, so that everything above it is the product's own:
transport, SDK, classification. Time is the simulated vault's.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from datetime import timedelta
from functools import partial

from tests.faults.relay.damages import Damage, When
from tests.faults.relay.delivery import WHOLE, ConnectionOver, Delivery, Ends
from tests.faults.relay.exchange import read_call
from tests.faults.simulation import READ_TIMEOUT

# A descriptor that is never readable: urllib3 asks whether an idle connection was closed.
_IDLE, _OTHER_END = socket.socketpair()
_NEVER = Ends(threading.Event(), threading.Event())


class Collector:
    """Takes a delivery's bytes in the place of a client, and notes how it ended."""

    def __init__(self):
        self.data, self.was_reset, self.is_silent = bytearray(), False, False

    def sendall(self, data):
        """Take bytes."""
        self.data += data

    def setsockopt(self, *_):
        """A reset begins with an option."""

    def detach(self):
        """A reset ends with the descriptor."""
        self.was_reset = True
        return -1

    def settimeout(self, _seconds):
        """Silence begins."""
        self.is_silent = True

    def recv(self, _size):
        """The client goes: its patience is counted by the one who reads."""
        return b""


class Wire:
    """The network of one world."""

    def __init__(self, vault, service, rules):
        self.vault, self.service, self.rules = vault, service, rules
        # Every damage done, for whoever looks into a world that broke.
        self.damages = 0

    def exchange(self, data):
        """Answer one request. Returns the bytes and how the connection ends: "", "reset" or "silent"."""
        call = read_call(io.BytesIO(data), "127.0.0.1", 443)
        assert call is not None
        self.vault.sleep(self.vault.dice.uniform(0.02, 0.3))
        damage = None if self.vault.quiet else self.rules.take(call)
        if damage is not None:
            self.damages += 1
            self.vault.tell(f"{call.label}: {damage}")
        return self._deliver(call, damage or WHOLE)

    def _deliver(self, call, damage: Damage):
        if damage.when == When.BEFORE and damage.delay >= READ_TIMEOUT:
            self._land_later(call, damage.delay)
            return b"", "silent"
        answer = None
        if damage.when == When.AFTER or damage.is_delay_only:
            answer = self.service.answer(call)
        if damage.reset or damage.hang or damage.delay >= READ_TIMEOUT:
            return b"", "reset" if damage.reset else "silent"
        self.vault.sleep(damage.delay)
        collector = Collector()
        with contextlib.suppress(ConnectionOver):
            Delivery(collector, damage.applied(call, answer), damage, _NEVER).send()
        return bytes(collector.data), "reset" if collector.was_reset else "silent" if collector.is_silent else ""

    def _land_later(self, call, delay):
        at = self.vault.now + timedelta(seconds=delay)
        self.vault.landing.append((at, partial(self.service.answer, call)))
        self.vault.tell(f"{call.label} is under way until {at:%H:%M:%S}")


class FakeSocket(socket.socket):
    """What urllib3 takes for its TLS socket. It has no descriptor of its own."""

    def __init__(self, wire: Wire):
        super().__init__()
        super().close()
        self._wire, self._sent, self._seconds = wire, bytearray(), None

    def settimeout(self, seconds):
        """Keep how long a read may take."""
        self._seconds = seconds

    def sendall(self, data):
        """Collect the request."""
        self._sent += data

    def makefile(self, _mode, *_arguments, **_named):
        """Return the answer to what was written since the last one."""
        data, self._sent = bytes(self._sent), bytearray()
        return io.BufferedReader(_Reply(self._wire, data, self._seconds or READ_TIMEOUT))

    def fileno(self):
        """Return a descriptor that has nothing to read."""
        return _IDLE.fileno()

    def close(self):
        """Nothing to end."""


class _Reply(io.RawIOBase):
    def __init__(self, wire, request, seconds):
        self._wire, self._request, self._seconds = wire, request, seconds
        self._left, self._ending = None, ""

    def readable(self):
        return True

    def readinto(self, buffer):
        if self._left is None:
            data, self._ending = self._wire.exchange(self._request)
            self._left = io.BytesIO(data)
        count = self._left.readinto(buffer)
        if count == 0 and self._ending == "reset":
            raise ConnectionResetError("Connection reset by peer")
        if count == 0 and self._ending == "silent":
            self._wire.vault.sleep(self._seconds)
            raise TimeoutError("The read operation timed out")
        return count
