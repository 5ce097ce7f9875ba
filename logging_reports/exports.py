"""CSV exports of exactly the filtered rows: as a stream, or as a file for the report worker.

Every export is itself logged: who, which filter, how many rows, the SHA-256 of the bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import gettext as _

from kmes.core import clock
from kmes.core.errors import KmesError
from logging_reports.chain import canonical_json
from logging_reports.choices import Service, Severity
from logging_reports.rendering import csv_cell, csv_lines
from logging_reports.selectors import iterate_newest_first, list_entries, newest_sequence
from logging_reports.services import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmes.core.actor import Actor
    from logging_reports.models import LogEntry
    from logging_reports.selectors import LogFilter

ROWS_PER_CHUNK = 500

# Typed by us, so they need no guard; everything else is text.
_NUMBERS = ("sequence", "actor_user_id", "http_status", "duration_ms")
COLUMNS = (
    "sequence",
    "at",
    "service",
    "category",
    "severity",
    "event",
    "actor_name",
    "actor_trigger",
    "actor_user_id",
    "credential_id",
    "credential",
    "vault",
    "group_id",
    "group",
    "key_id",
    "key",
    "version",
    "job_id",
    "job_code",
    "azure_request_id",
    "http_status",
    "duration_ms",
    "message",
    "data",
    "truncated",
    "previous_hash",
    "hash",
)
_FILE_STEMS = {Service.AZURE: "azure-service", Service.AUDIT: "audit", Service.DEVICE: "device"}
_FILE_NAME = re.compile(r"(?:azure-service|audit|device)-\d{8}T\d{6}Z(?:-[0-9a-f]{16})?\.csv")


@dataclass(frozen=True)
class ExportFile:
    """A finished file in the export folder; ``size`` in bytes."""

    name: str
    size: int
    made_at: datetime


def make_file_name(service: str, *, unique: bool = False) -> str:
    """Return a file name of our own text only, such as ``azure-service-20261123T140500Z.csv``."""
    tail = f"-{secrets.token_hex(8)}" if unique else ""
    return f"{_FILE_STEMS[Service(service)]}-{clock.now().astimezone(UTC):%Y%m%dT%H%M%SZ}{tail}.csv"


def stream_csv(wanted: LogFilter, *, actor: Actor, file_name: str) -> Iterator[bytes]:
    """Yield the filtered rows, newest first, as CSV (RFC 4180, UTF-8, header row).

    Rows that arrive after the start are left out. The last chunk leaves only after the
    export's own row is written, so no complete export goes unlogged; an aborted one is logged
    with what had left by then.

    Raises:
        LogWriteError: the export can't be logged; the stream ends short.

    """
    digest, count, is_complete = hashlib.sha256(), 0, False
    entries = iterate_newest_first(list_entries(wanted), up_to=newest_sequence(wanted.service))
    held = csv_lines([COLUMNS])
    try:
        while chunk := list(islice(entries, ROWS_PER_CHUNK)):
            digest.update(held)
            yield held
            held, count = csv_lines([_cells(entry) for entry in chunk]), count + len(chunk)
        digest.update(held)
        is_complete = True
    finally:
        # Also reached when the reader goes away (GeneratorExit).
        facts = {"file": file_name, "rows": count, "sha256": digest.hexdigest(), "complete": is_complete}
        _record_export(wanted, actor, facts)
    yield held


def write_export(wanted: LogFilter, *, actor: Actor) -> Path:
    """Write an export into the export folder and return its path; a failure leaves no file.

    Raises:
        KmesError: the folder can't be written.
        LogWriteError: the export can't be logged.

    """
    path = Path(settings.KMES_EXPORT_DIR) / make_file_name(wanted.service, unique=True)
    draft = path.with_suffix(".part")
    try:
        _open_folder()
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.writelines(stream_csv(wanted, actor=actor, file_name=path.name))
        draft.rename(path)
    except OSError as error:
        raise _folder_error(error) from error
    finally:
        with suppress(OSError):
            draft.unlink()
    return path


def list_files() -> list[ExportFile]:
    """Return the finished exports, newest first.

    Raises:
        KmesError: the folder can't be read.

    """
    found = []
    try:
        for path in _open_folder().iterdir():
            if _FILE_NAME.fullmatch(path.name):
                state = path.stat()
                found.append(ExportFile(path.name, state.st_size, datetime.fromtimestamp(state.st_mtime, UTC)))
    except OSError as error:
        raise _folder_error(error) from error
    return sorted(found, key=lambda file: (file.made_at, file.name), reverse=True)


def find_file(name: str) -> Path | None:
    """Return the path of a finished export; None for any name we wouldn't have given."""
    path = Path(settings.KMES_EXPORT_DIR) / name
    return path if _FILE_NAME.fullmatch(name) and path.is_file() else None


def prune_files(*, keep_days: int) -> int:
    """Delete exports, and drafts left by a killed worker, older than ``keep_days``; return how many.

    Raises:
        KmesError: the folder can't be written.

    """
    oldest = (clock.now() - timedelta(days=keep_days)).timestamp()
    pruned = 0
    try:
        for path in _open_folder().iterdir():
            is_ours = _FILE_NAME.fullmatch(path.with_suffix(".csv").name) and path.suffix in {".csv", ".part"}
            if is_ours and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)
                pruned += 1
    except OSError as error:
        raise _folder_error(error) from error
    return pruned


def _open_folder() -> Path:
    folder = Path(settings.KMES_EXPORT_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _folder_error(error: OSError) -> KmesError:
    return KmesError(
        _("The export folder can't be used: %(reason)s.") % {"reason": error.strerror or str(error)},
        _("Check the folder named by KMES_EXPORT_DIR, its owner and its free space."),
        code="export-folder",
    )


def _cells(entry: LogEntry) -> list[str]:
    return [_cell(name, getattr(entry, name)) for name in COLUMNS]


def _cell(name: str, value: object) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bool):
        return "true" if value else "false"
    if name in _NUMBERS:
        return str(value)
    return csv_cell(canonical_json(value) if isinstance(value, dict | list) else str(value))


def _record_export(wanted: LogFilter, actor: Actor, facts: dict[str, object]) -> None:
    label, rows, is_complete = Service(wanted.service).label, facts["rows"], facts["complete"]
    text = f"Exported {rows} rows of the {label} log" if is_complete else f"Export of the {label} log stopped short"
    record(
        "log.exported",
        actor=actor,
        severity=Severity.INFO if is_complete else Severity.WARNING,
        message=text,
        data={"filter": wanted.describe(), **facts},
    )
