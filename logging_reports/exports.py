"""Exports of the filtered rows, as CSV for people or as JSON Lines that can be verified elsewhere.

Every export is logged: actor, filter, number of rows, SHA-256 of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from kmes.core import language
from kmes.core.actor import Actor
from logging_reports.chain import canonical_json
from logging_reports.choices import ExportFormat, Service, Severity
from logging_reports.json_lines import LAYOUTS, to_line
from logging_reports.models import LogEntry
from logging_reports.safe_text import csv_cell, csv_header, csv_lines
from logging_reports.selectors import LogFilter, iterate_newest_first, list_entries, newest_sequence
from logging_reports.services import record

ROWS_PER_CHUNK = 500
CONTENT_TYPES: dict[str, str] = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.CSV_PLAIN: "text/csv; charset=utf-8",
    ExportFormat.JSON_LINES: "application/jsonl; charset=utf-8",
}

# Numbers can't start a formula; every other value is text and needs the guard.
_NUMBERS = ("sequence", "actor_user_id", "http_status", "duration_ms")
_FIRST = ("sequence", "at")
# Released column names never change: programs of users read them.
_FIELD_OF = LAYOUTS[1]
COLUMNS = (*_FIRST, *(name for name in _FIELD_OF if name not in _FIRST))


@dataclass
class Outcome:
    """How far an export came; complete once the last chunk was sent. ``sha256`` is hex."""

    rows: int = 0
    sha256: str = ""
    is_complete: bool = False


def stream(
    wanted: LogFilter,
    *,
    actor: Actor,
    file_name: str,
    form: str = ExportFormat.CSV,
    up_to: int | None = None,
    outcome: Outcome | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[bytes]:
    """Yield the filtered rows, newest first: CSV (RFC 4180, UTF-8, header row; with a byte order mark for Excel) or
    JSON Lines.

    Rows after ``up_to`` (default: the newest row at the start) are left out. The last chunk is sent
    only after the export is logged, so no complete export goes unlogged. An aborted export is logged
    with the rows sent by then. ``progress`` is called with the number of rows done.

    Raises:
        LogWriteError: the export can't be logged; the stream ends short.

    """
    digest, done = hashlib.sha256(), outcome or Outcome()
    newest = newest_sequence(wanted.service) if up_to is None else up_to
    entries = iterate_newest_first(list_entries(wanted), up_to=newest)
    is_csv = ExportFormat(form).is_csv
    held = csv_header(COLUMNS, for_excel=form == ExportFormat.CSV) if is_csv else b""
    try:
        while chunk := list(islice(entries, ROWS_PER_CHUNK)):
            digest.update(held)
            yield held
            held, done.rows = _render(chunk, is_csv=is_csv), done.rows + len(chunk)
            if progress:
                progress(done.rows)
        digest.update(held)
        done.is_complete = True
    finally:
        # Also runs when the client disconnects (GeneratorExit).
        done.sha256 = digest.hexdigest()
        _record_export(wanted, actor, done, file_name)
    yield held


def _render(chunk: list[LogEntry], *, is_csv: bool) -> bytes:
    if is_csv:
        return csv_lines([_cells(entry) for entry in chunk])
    return "".join(to_line(entry) for entry in chunk).encode("utf-8", "backslashreplace")


def _cells(entry: LogEntry) -> list[str]:
    return [_cell(name, getattr(entry, _FIELD_OF[name])) for name in COLUMNS]


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


def _record_export(wanted: LogFilter, actor: Actor, done: Outcome, file_name: str) -> None:
    label = language.recorded(Service(wanted.service).label)
    text = (
        f"Exported {done.rows} rows of the {label} log"
        if done.is_complete
        else f"Export of the {label} log stopped short"
    )
    facts = {"file": file_name, "rows": done.rows, "sha256": done.sha256, "complete": done.is_complete}
    record(
        "log.exported",
        actor=actor,
        severity=Severity.INFO if done.is_complete else Severity.WARNING,
        message=text,
        data={"filter": wanted.describe(), **facts},
    )
