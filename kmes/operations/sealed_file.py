"""Encrypts a stream under a passphrase: scrypt for the key, AES-256-GCM in chunks (the STREAM construction).

Each chunk's nonce contains its number and whether it is the last, so a file that was truncated, reordered
or joined from two does not open. The first bytes name the format's version. A version's format must never
change, or old backups would no longer open.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from django.utils.translation import gettext as _

from kmes.core.errors import KmesError
from kmes.core.secret_types import SecretText

MAGIC = b"KMESBAK1"
CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
SALT_BYTES = 16
PREFIX_BYTES = 7
HEADER_BYTES = len(MAGIC) + 1 + SALT_BYTES + PREFIX_BYTES
# scrypt with r=8, p=1 takes 128 bytes * 8 * 2^N: 64 MiB. A header that asks for more than 1 GiB is refused.
SCRYPT_LOG2_N = 16
HIGHEST_LOG2_N = 20
SHORTEST_PASSPHRASE = 12


class SealedFileError(KmesError):
    """The file does not open: wrong passphrase, or changed bytes."""

    code = "sealed_file"


def read_passphrase(path: Path) -> SecretText:
    """Return the passphrase that stands in a file.

    Raises:
        SealedFileError: the file can't be read, may be read by others, or holds too short a passphrase.

    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text().strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SealedFileError(
            _("The passphrase file %(path)s can't be read (%(error)s).")
            % {"path": path, "error": type(error).__name__},
            _("Name a file that holds the passphrase as one line of text."),
        ) from error
    if mode & 0o077:
        raise SealedFileError(
            _("The passphrase file %(path)s may be read by others (mode %(mode)s).")
            % {"path": path, "mode": f"{mode:04o}"},
            _("Run: chmod 600 %(path)s") % {"path": path},
        )
    if len(text) < SHORTEST_PASSPHRASE:
        raise SealedFileError(
            _("The passphrase in %(path)s is shorter than %(count)d characters.")
            % {"path": path, "count": SHORTEST_PASSPHRASE},
            _("Make one, for example: openssl rand -base64 32"),
        )
    return SecretText(text)


def _cipher(passphrase: SecretText, salt: bytes, log2_n: int) -> AESGCM:
    key = Scrypt(salt=salt, length=32, n=2**log2_n, r=8, p=1).derive(passphrase.reveal().encode())
    return AESGCM(key)


def _nonce(prefix: bytes, number: int, *, is_last: bool) -> bytes:
    return prefix + number.to_bytes(4) + bytes([is_last])


class SealingWriter(io.RawIOBase):
    """A file that encrypts what is written to it. Without ``close`` it is incomplete."""

    def __init__(self, target: IO[bytes], passphrase: SecretText) -> None:
        super().__init__()
        self._target = target
        salt, self._prefix = os.urandom(SALT_BYTES), os.urandom(PREFIX_BYTES)
        self._header = MAGIC + bytes([SCRYPT_LOG2_N]) + salt + self._prefix
        self._cipher = _cipher(passphrase, salt, SCRYPT_LOG2_N)
        self._held = bytearray()
        self._number = 0
        target.write(self._header)

    def writable(self) -> bool:
        """Say that it can be written."""
        return True

    def write(self, data: object) -> int:
        """Take bytes; full chunks are written at once, the rest is held."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        self._held += view
        # The last chunk is marked, so a full one is kept until it is known whether more follows.
        while len(self._held) > CHUNK_BYTES:
            self._seal(bytes(self._held[:CHUNK_BYTES]), is_last=False)
            del self._held[:CHUNK_BYTES]
        return len(view)

    def close(self) -> None:
        """Seal the last chunk."""
        # The target of an interrupted backup is closed already; no last chunk is needed then.
        if not self.closed and not self._target.closed:
            self._seal(bytes(self._held), is_last=True)
            self._target.flush()
        super().close()

    def _seal(self, chunk: bytes, *, is_last: bool) -> None:
        nonce = _nonce(self._prefix, self._number, is_last=is_last)
        self._target.write(self._cipher.encrypt(nonce, chunk, self._header))
        self._number += 1


class OpeningReader(io.RawIOBase):
    """A file that decrypts as it is read; every byte it returns was authenticated.

    Raises SealedFileError while reading, or at once for an unknown header.
    """

    def __init__(self, source: IO[bytes], passphrase: SecretText) -> None:
        super().__init__()
        self._source = source
        self._header = source.read(HEADER_BYTES)
        log2_n = self._header[len(MAGIC)] if len(self._header) == HEADER_BYTES else 0
        if not self._header.startswith(MAGIC) or not 0 < log2_n <= HIGHEST_LOG2_N:
            raise SealedFileError(_("The file is not an encrypted backup of this console."))
        salt = self._header[len(MAGIC) + 1 : -PREFIX_BYTES]
        self._prefix = self._header[-PREFIX_BYTES:]
        self._cipher = _cipher(passphrase, salt, log2_n)
        self._next = source.read(CHUNK_BYTES + TAG_BYTES)
        self._clear = b""
        self._number = 0
        self._is_over = False

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill the buffer with clear bytes; 0 at the end of a complete file."""
        while not self._clear and not self._is_over:
            self._open_next()
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        given = self._clear[: len(view)]
        view[: len(given)] = given
        self._clear = self._clear[len(given) :]
        return len(given)

    def _open_next(self) -> None:
        chunk, self._next = self._next, self._source.read(CHUNK_BYTES + TAG_BYTES)
        self._is_over = not self._next
        nonce = _nonce(self._prefix, self._number, is_last=self._is_over)
        try:
            self._clear = self._cipher.decrypt(nonce, chunk, self._header)
        except InvalidTag:
            if self._number:
                what = _("The backup is damaged or was changed: a part of it does not open.")
            else:
                what = _("The backup does not open: the passphrase is another one, or the file was changed.")
            raise SealedFileError(what, _("Nothing was restored.")) from None
        self._number += 1


def is_sealed(path: Path) -> bool:
    """Return whether a file begins as an encrypted backup does."""
    with path.open("rb") as source:
        return source.read(len(MAGIC)) == MAGIC
