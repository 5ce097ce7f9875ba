"""The export folder: names, creation, look-up and removal of export files. Uses no database."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from django.conf import settings
from django.utils.translation import gettext as _

from kmes.core import clock
from kmes.core.errors import KmesError
from kmes.core.private_files import open_plain
from logging_reports.choices import ExportFormat, Service

_STEMS = {Service.AZURE: "azure-service", Service.AUDIT: "audit", Service.DEVICE: "device"}
_NAME = re.compile(r"(?:azure-service|audit|device)-[0-9]{8}T[0-9]{6}Z(?:-[0-9a-f]{16})?\.(?:csv|jsonl)")
_UNFINISHED = ".part"


def make_name(service: str, form: str = ExportFormat.CSV, *, unique: bool = False) -> str:
    """Return a file name without user input, such as ``azure-service-20261123T140500Z.csv``."""
    tail = f"-{secrets.token_hex(8)}" if unique else ""
    stem, kind = _STEMS[Service(service)], ExportFormat(form).suffix
    return f"{stem}-{clock.now().astimezone(UTC):%Y%m%dT%H%M%SZ}{tail}.{kind}"


def find(name: str) -> Path | None:
    """Return the path of a finished export. None for a missing file and for a name ``make_name`` never makes."""
    path = Path(settings.KMES_EXPORT_DIR) / name
    return path if is_export(name) and path.is_file() else None


def is_export(name: str) -> bool:
    """Return whether ``make_name`` makes such names."""
    return _NAME.fullmatch(name) is not None


def open_found(name: str) -> IO[bytes] | None:
    """Open a finished export. None for a missing file, a strange name, and what is no file of its own.

    The web process sends what it opens, and the folder is the report worker's: a link in it could lead to a key of the web
    process.
    """
    if not is_export(name):
        return None
    try:
        return open_plain(Path(settings.KMES_EXPORT_DIR) / name)
    except OSError:
        return None


@contextmanager
def new_file(name: str) -> Iterator[IO[bytes]]:
    """Open a private file that gets its ``name`` when the block succeeds, and is deleted when it fails.

    Raises:
        KmesError: the folder can't be written.

    """
    path = Path(settings.KMES_EXPORT_DIR) / name
    unfinished = path.with_name(name + _UNFINISHED)
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _mode_in(_open_folder()))
        with os.fdopen(descriptor, "wb") as target:
            yield target
        unfinished.rename(path)
    except OSError as error:
        raise _folder_error(error) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def prune(*, keep_days: int) -> list[str]:
    """Delete exports older than ``keep_days``, also unfinished ones of a killed worker. Return their names.

    Raises:
        KmesError: the folder can't be written.

    """
    oldest = (clock.now() - timedelta(days=keep_days)).timestamp()
    pruned = []
    try:
        for path in _open_folder().iterdir():
            name = path.name.removesuffix(_UNFINISHED)
            if _NAME.fullmatch(name) and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)
                pruned.append(name)
    except OSError as error:
        raise _folder_error(error) from error
    return pruned


def remove(name: str) -> None:
    """Delete one export if it exists."""
    path = find(name)
    if path:
        with suppress(OSError):
            path.unlink()


def made_at(path: Path) -> datetime:
    """Return when a file was written."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _open_folder() -> Path:
    folder = Path(settings.KMES_EXPORT_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _mode_in(folder: Path) -> int:
    """Return the mode of new files: private, or readable for the folder's group where that is handed on.

    The web process sends them. Where it runs as another user, the folder has its group (kmes.supervision.state_files).
    """
    return 0o640 if folder.stat().st_mode & stat.S_ISGID else 0o600


def _folder_error(error: OSError) -> KmesError:
    return KmesError(
        _("The export folder can't be used: %(reason)s.") % {"reason": error.strerror or str(error)},
        _("Check the folder named by KMES_EXPORT_DIR, its owner and its free space."),
        code="export-folder",
    )
