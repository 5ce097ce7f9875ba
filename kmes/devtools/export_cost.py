"""Measures the CSV export of a whole log, on PostgreSQL against a bare COPY of the same rows.

Works in this process, so that what is timed is the export and no network. Needs Django set up before it is imported.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from django.db import connection

from kmes.core.actor import SYSTEM
from logging_reports.choices import Service
from logging_reports.exports import stream
from logging_reports.models import LogEntry
from logging_reports.selectors import LogFilter, newest_sequence

RUNS = 3


def print_export() -> None:
    """Measure the export of the Azure Service log in turns with a bare COPY; print rows per second and their ratio."""
    rows = newest_sequence(Service.AZURE)
    if not rows:
        return
    has_copy = connection.vendor == "postgresql"
    exports, copies = [], []
    for _run in range(RUNS):
        exports.append(_time(_export))
        if has_copy:
            copies.append(_time(_copy))
    seconds = statistics.median(exports)
    line = {"name": "export", "rows": rows, "rows_per_s": round(rows / seconds)}
    if has_copy:
        bare = statistics.median(copies)
        line |= {"bare_copy_rows_per_s": round(rows / bare), "ratio": round(bare / seconds, 2)}
    print(json.dumps(line), flush=True)


def _time(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _export() -> None:
    for _content in stream(LogFilter(service=Service.AZURE), actor=SYSTEM, file_name="bench.csv"):
        pass


def _copy() -> None:
    rows = LogEntry.objects.filter(service=Service.AZURE).order_by("-sequence")
    inner, parameters = rows.query.sql_with_params()
    with connection.cursor() as cursor, cursor.copy(f"COPY ({inner}) TO STDOUT (FORMAT csv)", parameters) as copied:
        for _line in copied:
            pass
