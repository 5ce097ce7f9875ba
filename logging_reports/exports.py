"""Exports of the filtered rows, as CSV for people or as JSON Lines that can be verified elsewhere.

Every export is logged: actor, filter, number of rows, SHA-256 of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter, itemgetter

from django.db import connection

from kmes.core import language
from kmes.core.actor import Actor
from logging_reports import csv_copy, csv_rows
from logging_reports.choices import ExportFormat, Service, Severity
from logging_reports.json_lines import to_line
from logging_reports.models import LogEntryQuerySet
from logging_reports.selectors import LogFilter, iterate_batches, list_entries, newest_sequence
from logging_reports.services import record

CONTENT_TYPES: dict[str, str] = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.CSV_PLAIN: "text/csv; charset=utf-8",
    ExportFormat.JSON_LINES: "application/jsonl; charset=utf-8",
}


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
    is_csv = ExportFormat(form).is_csv
    held = csv_rows.header(for_excel=form == ExportFormat.CSV) if is_csv else b""
    try:
        for content, rows in _contents(list_entries(wanted), up_to=newest, is_csv=is_csv):
            digest.update(held)
            yield held
            held, done.rows = content, done.rows + rows
            if progress:
                progress(done.rows)
        digest.update(held)
        done.is_complete = True
    finally:
        # Also runs when the client disconnects (GeneratorExit).
        done.sha256 = digest.hexdigest()
        _record_export(wanted, actor, done, file_name)
    yield held


def _contents(rows: LogEntryQuerySet, *, up_to: int, is_csv: bool) -> Iterator[tuple[bytes, int]]:
    """Yield the rows from sequence ``up_to`` down as parts of a file, each with its number of rows."""
    if is_csv and connection.vendor == "postgresql":
        yield from csv_copy.copy_lines(rows, up_to=up_to)
    elif is_csv:
        for cells in iterate_batches(rows.values_list(*csv_rows.FIELDS), up_to=up_to, position=itemgetter(0)):
            yield csv_rows.render(cells), len(cells)
    else:
        for entries in iterate_batches(rows, up_to=up_to, position=attrgetter("sequence")):
            yield "".join(map(to_line, entries)).encode("utf-8", "backslashreplace"), len(entries)


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
