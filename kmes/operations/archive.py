"""The backup file: a tar of the manifest, its signature and its parts, compressed, encrypted unless asked otherwise.

Unpacking writes only the files that the manifest names, with checked names, sizes and hashes. A manifest is input like
any other: nothing in it is believed beyond what can be checked.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.utils.translation import gettext as _

from kmes.core.secret_types import SecretText
from kmes.operations import backup_signature
from kmes.operations.manifest import NAME, BackupError, Manifest, Part
from kmes.operations.sealed_file import OpeningReader, SealingWriter, is_sealed

BLOCK_BYTES = 1024 * 1024
HIGHEST_MANIFEST_BYTES = 4 * 1024 * 1024
# Rows and tokens compress to a tenth or so. A file that grows by more is made to fill the disk.
HIGHEST_RATIO = 100
SMALL_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Head:
    """What stands before the parts: the manifest, and the fingerprint of the key that signed it, "" where none did."""

    manifest: Manifest
    signed_by: str


def describe(folder: Path) -> tuple[Part, ...]:
    """Return name, size and SHA-256 of every file below a folder."""
    parts = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        parts.append(Part(path.relative_to(folder).as_posix(), path.stat().st_size, digest))
    return tuple(parts)


def pack(
    target: Path,
    folder: Path,
    manifest: bytes,
    parts: tuple[Part, ...],
    *,
    signature: bytes,
    passphrase: SecretText | None,
) -> str:
    """Write the archive with mode 0600, whole or not at all. Return its SHA-256.

    ``manifest`` and ``signature`` are the contents of the first two files; without a signature it is empty.

    Raises:
        BackupError: the target exists, or can't be written.

    """
    temporary = target.with_name(f".{target.name}.part")
    try:
        if target.exists():
            raise BackupError(
                _("%(target)s exists already.") % {"target": target},
                _("Name another file; a backup is never overwritten."),
            )
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            _write(file, folder, {NAME: manifest, backup_signature.NAME: signature}, parts, passphrase)
            file.flush()
            os.fsync(file.fileno())
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        temporary.rename(target)
        return digest
    except OSError as error:
        raise BackupError(
            _("%(target)s can't be written: %(reason)s.") % {"target": target, "reason": error.strerror or error},
            _("Check the folder, its owner and its free space."),
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _write(
    file: IO[bytes], folder: Path, head: dict[str, bytes], parts: tuple[Part, ...], passphrase: SecretText | None
) -> None:
    stream = SealingWriter(file, passphrase) if passphrase else file
    with tarfile.open(fileobj=stream, mode="w|gz", format=tarfile.PAX_FORMAT) as tar:
        for name, content in head.items():
            if content:
                tar.addfile(_new_member(name, len(content)), io.BytesIO(content))
        for part in parts:
            with (folder / part.name).open("rb") as source:
                tar.addfile(_new_member(part.name, part.size), source)
    if passphrase:
        stream.close()


def _new_member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


class _LimitedReader(io.RawIOBase):
    """Reads a decompressed stream up to a limit in bytes, so that a small file can't fill memory or the disk.

    Raises BackupError beyond the limit. It first allows the manifest alone.
    """

    def __init__(self, source: gzip.GzipFile) -> None:
        super().__init__()
        self._source = source
        self.left = HIGHEST_MANIFEST_BYTES + 64 * 1024

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill the buffer."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        block = self._source.read(len(view))
        self.left -= len(block)
        if self.left < 0:
            raise BackupError(
                _("The backup holds more than its manifest says."),
                _("Nothing was restored. The file was damaged or forged."),
            )
        view[: len(block)] = block
        return len(block)


@contextmanager
def _opened(path: Path, passphrase: SecretText | None) -> Iterator[tuple[tarfile.TarFile, _LimitedReader]]:
    """Yield the archive, and the reader whose limit is raised once the manifest is known."""
    if not path.is_file():
        raise BackupError(_("There is no file %(path)s.") % {"path": path})
    sealed = is_sealed(path)
    if sealed and passphrase is None:
        raise BackupError(
            _("%(path)s is encrypted.") % {"path": path}, _("Name the file with its passphrase: --passphrase-file FILE")
        )
    with path.open("rb") as file:
        stream = OpeningReader(file, passphrase) if sealed and passphrase else file
        try:
            with gzip.GzipFile(fileobj=stream, mode="rb") as clear:
                limited = _LimitedReader(clear)
                with tarfile.open(fileobj=limited, mode="r|") as tar:
                    yield tar, limited
        # A truncated gzip stream raises EOFError, another kind of file one of the others.
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise BackupError(
                _("%(path)s is not a whole backup of this console (%(error)s).")
                % {"path": path, "error": type(error).__name__}
            ) from error


def read_head(path: Path, passphrase: SecretText | None) -> Head:
    """Return the manifest of a backup and who signed it, without unpacking a part.

    Raises:
        BackupError: the file is no backup, or its signature is wrong.
        SealedFileError: it does not open.

    """
    with _opened(path, passphrase) as (tar, _limited):
        return _read_head(tar)[0]


def _read_head(tar: tarfile.TarFile) -> tuple[Head, tarfile.TarInfo | None]:
    """Read the manifest and its signature. Return them, and the member that follows."""
    first = tar.next()
    content = _read_small(tar, first, NAME, HIGHEST_MANIFEST_BYTES)
    if content is None:
        raise BackupError(_("The file is not a backup of this console: it does not begin with a manifest."))
    manifest = Manifest.from_json(content)
    second = tar.next()
    signature = _read_small(tar, second, backup_signature.NAME, backup_signature.HIGHEST_BYTES)
    if signature is None:
        return Head(manifest, signed_by=""), second
    return Head(manifest, backup_signature.verify(signature, content)), tar.next()


def _read_small(tar: tarfile.TarFile, member: tarfile.TarInfo | None, name: str, highest_bytes: int) -> bytes | None:
    """Return the content of a member if it is the one of this name and small enough, else None."""
    if member is None or member.name != name or not member.isreg() or member.size > highest_bytes:
        return None
    source = tar.extractfile(member)
    return source.read() if source else None


def unpack(path: Path, folder: Path, passphrase: SecretText | None, *, check: Callable[[Head], None]) -> Head:
    """Unpack a backup into an empty folder and check the hash of every part. Return its manifest and signer.

    ``check`` decides whether the manifest and its signer are acceptable, before any part is unpacked.

    Raises:
        BackupError: the signature is wrong; a part is missing, not in the manifest, or different from it.
        SealedFileError: the file does not open.

    """
    with _opened(path, passphrase) as (tar, limited):
        head, member = _read_head(tar)
        check(head)
        limited.left = _check_sizes(head.manifest, path.stat().st_size, folder)
        wanted = {part.name: part for part in head.manifest.parts}
        while member is not None:
            part = wanted.pop(member.name, None)
            fits = part is not None and member.isreg() and member.size == part.size
            source = tar.extractfile(member) if fits else None
            if part is None or source is None:
                raise BackupError(
                    _("The backup holds something its manifest does not name: “%(name)s”.") % {"name": member.name}
                )
            _unpack_part(part, source, folder)
            member = tar.next()
    if wanted:
        raise BackupError(
            _("The backup lacks a part: %(part)s.") % {"part": min(wanted)}, _("Take another backup; this one is cut.")
        )
    return head


def _check_sizes(manifest: Manifest, packed: int, folder: Path) -> int:
    """Return how many bytes may be unpacked: the parts with their headers.

    Raises:
        BackupError: the parts are out of proportion to the file, or don't fit on the disk.

    """
    total = sum(part.size for part in manifest.parts)
    if total > max(SMALL_BYTES, packed * HIGHEST_RATIO):
        raise BackupError(
            _("The backup of %(packed)d bytes claims to hold %(total)d.") % {"packed": packed, "total": total},
            _("Nothing was restored. The file was damaged or forged."),
        )
    if total > shutil.disk_usage(folder).free:
        raise BackupError(
            _("The backup does not fit into %(folder)s: it holds %(total)d bytes.")
            % {"folder": folder, "total": total},
            _("Name a folder with more room in TMPDIR."),
        )
    # Each member has a header and is padded to the next block; two records end the archive.
    return total + (len(manifest.parts) + 2) * 2 * tarfile.BLOCKSIZE + 2 * tarfile.RECORDSIZE


def _unpack_part(part: Part, source: IO[bytes], folder: Path) -> None:
    path = folder / part.name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
            size += len(block)
            target.write(block)
    if (size, digest.hexdigest()) != (part.size, part.sha256):
        raise BackupError(
            _("The part %(name)s of the backup is not what its manifest says.") % {"name": part.name},
            _("Nothing was restored."),
        )
