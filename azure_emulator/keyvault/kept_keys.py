"""RSA keys that are kept in a folder and handed out again in turn, for tests: most of a test run's keys are never compared.

Must not be used unless the start's options name the folder.
"""

from __future__ import annotations

import os
import threading
from itertools import count
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from azure_emulator.keyvault.material import DEFAULT_EXPONENT

# So many keys in a row differ, per size.
KEPT = 6


class KeptKeys:
    """The keys of a folder, which several processes may share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._loaded: dict[Path, rsa.RSAPrivateKey] = {}

    def take(self, bits: int) -> rsa.RSAPrivateKey:
        """Return the next key of this size; the first who asks for it makes it."""
        path = self._folder / f"{bits}-{next(self._numbers) % KEPT}.pem"
        if path not in self._loaded:
            if not path.exists():
                self._make(path, bits)
            self._loaded[path] = self._load(path)
        return self._loaded[path]

    def _make(self, path: Path, bits: int) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = rsa.generate_private_key(DEFAULT_EXPONENT, bits)
        # Whole or not at all: another process may look for it at this moment.
        made = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_native_id()}")
        made.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        made.replace(path)

    @staticmethod
    def _load(path: Path) -> rsa.RSAPrivateKey:
        # Its own process made it a moment ago.
        key = load_pem_private_key(path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key
