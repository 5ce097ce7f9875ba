"""Streams a report as a CSV file and logs the download with its filter and SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC
from itertools import islice
from typing import Any

from kmes.core import clock
from kmes.core.actor import Actor
from logging_reports.choices import Severity
from logging_reports.reports.definitions import Report
from logging_reports.reports.tables import csv_header, csv_row
from logging_reports.safe_text import csv_header as csv_first_line
from logging_reports.safe_text import csv_lines
from logging_reports.services import record

ROWS_PER_CHUNK = 500


def make_file_name(report: Report) -> str:
    """Return a file name without user input, such as ``key-age-20261123T140500Z.csv``."""
    return f"{report.name}-{clock.now().astimezone(UTC):%Y%m%dT%H%M%SZ}.csv"


def stream_csv(
    report: Report, rows: Iterable[Any], *, filters: dict[str, str], actor: Actor, file_name: str, for_excel: bool
) -> Iterator[bytes]:
    """Yield the rows as CSV, for Excel with a byte order mark. The last chunk is sent only after the download is logged.

    Raises:
        LogWriteError: the download can't be logged; the stream ends short.

    """
    digest, count, is_complete = hashlib.sha256(), 0, False
    source, held = iter(rows), csv_first_line(csv_header(report), for_excel=for_excel)
    try:
        while chunk := list(islice(source, ROWS_PER_CHUNK)):
            digest.update(held)
            yield held
            held, count = csv_lines([csv_row(report, row) for row in chunk]), count + len(chunk)
        digest.update(held)
        is_complete = True
    finally:
        # Also runs when the client disconnects (GeneratorExit).
        facts = {"file": file_name, "rows": count, "sha256": digest.hexdigest(), "complete": is_complete}
        record(
            "report.exported",
            actor=actor,
            severity=Severity.INFO if is_complete else Severity.WARNING,
            message=f"Exported {count} rows of the report {report.name}",
            data={"filter": filters, **facts},
        )
    yield held
