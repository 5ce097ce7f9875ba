"""A few RSA keys made ahead of time in a thread.

Owns the background thread: making a 4096-bit key takes up to seconds and must neither
block other requests nor slow the creation of a key exchange key. Must not keep keys
that were handed out, unless it is given a folder of kept keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from azure_emulator.keyvault.kept_keys import KeptKeys
from azure_emulator.keyvault.material import CURVES, DEFAULT_EXPONENT, RSA_SIZES


class KeyPool:
    """Ready keys per size and the thread that makes them."""

    def __init__(self, size: int, kept: KeptKeys | None = None) -> None:
        self._size = 0 if kept else max(0, size)
        self._kept = kept
        self._ready: dict[int, deque[rsa.RSAPrivateKey]] = {bits: deque() for bits in RSA_SIZES}
        self._wanted = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._fill, name="key-pool", daemon=True)

    def start(self) -> None:
        """Begin making keys; called once requests are served."""
        if self._size:
            self._wanted.set()
            self._thread.start()

    def stop(self) -> None:
        """Let the thread end after the current key."""
        self._stopping = True
        self._wanted.set()

    def _fill(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            # This lowers the priority of this thread only, so that requests are served first.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        while not self._stopping:
            missing = [bits for bits in RSA_SIZES if len(self._ready[bits]) < self._size]
            if not missing:
                self._wanted.wait()
                self._wanted.clear()
                continue
            bits = min(missing, key=lambda size: (len(self._ready[size]), size))
            self._ready[bits].append(rsa.generate_private_key(DEFAULT_EXPONENT, bits))

    async def rsa(self, bits: int, exponent: int = DEFAULT_EXPONENT) -> rsa.RSAPrivateKey:
        """A fresh RSA key: a ready one, else one made in a thread. Of kept keys, the next."""
        if self._kept and exponent == DEFAULT_EXPONENT:
            return await asyncio.to_thread(self._kept.take, bits)
        if exponent == DEFAULT_EXPONENT:
            with contextlib.suppress(IndexError, KeyError):
                key = self._ready[bits].popleft()
                self._wanted.set()
                return key
        return await asyncio.to_thread(rsa.generate_private_key, exponent, bits)

    async def ec(self, curve: str) -> ec.EllipticCurvePrivateKey:
        """A fresh EC key; these are quick to make."""
        return ec.generate_private_key(CURVES[curve]())
