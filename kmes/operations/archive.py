"""The backup file: a tar of the manifest and its parts, compressed, encrypted unless asked otherwise.

Unpacking writes only the files that the manifest names, with checked names and hashes.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from django.utils.translation import gettext as _

from kmes.core.secret_types import SecretText
from kmes.operations.manifest import NAME, BackupError, Manifest, Part
from kmes.operations.sealed_file import OpeningReader, SealingWriter, is_sealed

BLOCK_BYTES = 1024 * 1024
HIGHEST_MANIFEST_BYTES = 4 * 1024 * 1024
# Names that this console writes: letters, digits, inner dots, single slashes.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


def describe(folder: Path) -> tuple[Part, ...]:
    """Return name, size and SHA-256 of every file below a folder."""
    parts = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        parts.append(Part(path.relative_to(folder).as_posix(), path.stat().st_size, digest))
    return tuple(parts)


def pack(target: Path, folder: Path, manifest: Manifest, passphrase: SecretText | None) -> str:
    """Write the archive with mode 0600, whole or not at all. Return its SHA-256.

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
            _write(file, folder, manifest, passphrase)
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


def _write(file: IO[bytes], folder: Path, manifest: Manifest, passphrase: SecretText | None) -> None:
    stream = SealingWriter(file, passphrase) if passphrase else file
    with tarfile.open(fileobj=stream, mode="w|gz", format=tarfile.PAX_FORMAT) as tar:
        content = folder / NAME
        content.write_bytes(manifest.to_json())
        for name in [NAME, *(part.name for part in manifest.parts)]:
            member = tarfile.TarInfo(name)
            member.size, member.mode = (folder / name).stat().st_size, 0o600
            with (folder / name).open("rb") as source:
                tar.addfile(member, source)
    if passphrase:
        stream.close()


@contextmanager
def _opened(path: Path, passphrase: SecretText | None) -> Iterator[tarfile.TarFile]:
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
            with tarfile.open(fileobj=stream, mode="r|gz") as tar:
                yield tar
        # A truncated gzip stream raises EOFError, another kind of file one of the others.
        except (tarfile.TarError, zlib.error, EOFError) as error:
            raise BackupError(
                _("%(path)s is not a whole backup of this console (%(error)s).")
                % {"path": path, "error": type(error).__name__}
            ) from error


def read_manifest(path: Path, passphrase: SecretText | None) -> Manifest:
    """Return the manifest of a backup without unpacking it.

    Raises:
        BackupError: the file is no backup.
        SealedFileError: it does not open.

    """
    with _opened(path, passphrase) as tar:
        return _first_member(tar)


def _first_member(tar: tarfile.TarFile) -> Manifest:
    member = tar.next()
    source = tar.extractfile(member) if member is not None and member.name == NAME else None
    if member is None or source is None or member.size > HIGHEST_MANIFEST_BYTES:
        raise BackupError(_("The file is not a backup of this console: it does not begin with a manifest."))
    return Manifest.from_json(source.read())


def unpack(path: Path, folder: Path, passphrase: SecretText | None) -> Manifest:
    """Unpack a backup into an empty folder and check the hash of every part. Return its manifest.

    Raises:
        BackupError: a part is missing, not in the manifest, or different from it.
        SealedFileError: the file does not open.

    """
    with _opened(path, passphrase) as tar:
        manifest = _first_member(tar)
        wanted = {part.name: part for part in manifest.parts}
        while (member := tar.next()) is not None:
            part = wanted.pop(member.name, None)
            source = tar.extractfile(member) if part is not None else None
            if part is None or source is None or not _NAME.fullmatch(part.name):
                raise BackupError(
                    _("The backup holds something its manifest does not name: “%(name)s”.") % {"name": member.name}
                )
            _unpack_part(part, source, folder)
    if wanted:
        raise BackupError(
            _("The backup lacks a part: %(part)s.") % {"part": min(wanted)}, _("Take another backup; this one is cut.")
        )
    return manifest


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
