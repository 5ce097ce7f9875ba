"""The hint that makes the report worker send due deliveries. Redis holds nothing else of notices.

A mark in Redis keeps hints from piling up. The worker removes it before it reads the rows, so a later row gets a
hint of its own. The scan repeats a lost hint.
"""

from __future__ import annotations

from kmes.core import language
from logging_reports import report_queue
from logging_reports.notices import deliveries

_MARK = "kmes:notices:hint"
_TIMEOUT_SECONDS = 900


def hint() -> None:
    """Have the report worker send due deliveries. Without Redis log a warning; the scan repeats the hint."""
    report_queue.enqueue_once(run_deliveries, mark=_MARK)


@report_queue.report_task(timeout_seconds=_TIMEOUT_SECONDS)
def run_deliveries() -> None:
    """Send the due deliveries. Runs in the report worker."""
    report_queue.remove_mark(_MARK)
    with language.of_records():
        deliveries.deliver_due()
