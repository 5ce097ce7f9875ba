"""A report as a CSV file, streamed, or as a PDF file. Each download is logged with its filter and the file's SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC
from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from kmes.core import clock
from kmes.core.actor import Actor
from kmes.ui import pdf
from kmes.ui.paper import Paper, Sheet
from logging_reports.choices import Severity
from logging_reports.reports.definitions import Answer, Kind, Report
from logging_reports.reports.forms import ReportForm
from logging_reports.reports.tables import csv_header, csv_row, labels, words
from logging_reports.safe_text import csv_header as csv_first_line
from logging_reports.safe_text import csv_lines
from logging_reports.services import record

ROWS_PER_CHUNK = 500


def make_file_name(report: Report, kind: str) -> str:
    """Return a file name without user input, such as ``key-age-20261123T140500Z.csv``."""
    return f"{report.name}-{clock.now().astimezone(UTC):%Y%m%dT%H%M%SZ}.{kind}"


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
        _record(report, actor, filters, facts)
    yield held


def make_report_pdf(
    report: Report, answer: Answer, rows: QuerySet[Any, Any], *, form: ReportForm, actor: Actor, size: str
) -> tuple[str, bytes]:
    """Return the name and the content of a PDF file with the first rows of a report, and log the download.

    ``form`` holds the filters that the rows passed.

    Raises:
        ConflictError: other files are being made for too long.
        LogWriteError: the download can't be logged.

    """
    moment, count = clock.now(), rows.count()
    shown = [words(report, row) for row in rows[: pdf.MOST_ROWS]]
    notes: list[str] = [answer.sentence]
    if count > len(shown):
        notes.append(
            _("Only the first %(shown)d of %(count)d rows are here. The CSV file holds all of them.")
            % {"shown": len(shown), "count": count}
        )
    numeric = frozenset(place for place, column in enumerate(report.columns) if column.kind == Kind.NUMBER)
    content = pdf.make_pdf(
        Paper(
            report.title,
            made_by=actor.name,
            made_at=moment,
            facts=[(_("As of"), f"{clock.stamp(moment)} UTC"), *((chip.label, chip.value) for chip in form.chips())],
            notes=notes,
            bars=answer.bars,
            sheets=[Sheet(labels(report), shown, numeric=numeric)] if shown else [],
        ),
        size=size,
    )
    file_name = make_file_name(report, "pdf")
    facts = {"file": file_name, "rows": len(shown), "sha256": hashlib.sha256(content).hexdigest()}
    _record(report, actor, form.in_use(), {**facts, "complete": count == len(shown)})
    return file_name, content


def _record(report: Report, actor: Actor, filters: dict[str, str], facts: dict[str, Any]) -> None:
    record(
        "report.exported",
        actor=actor,
        severity=Severity.INFO if facts["complete"] else Severity.WARNING,
        message=f"Exported {facts['rows']} rows of the report {report.name}",
        data={"filter": filters, **facts},
    )
