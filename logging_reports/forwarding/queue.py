"""The hint that makes the report worker forward rows. Redis holds nothing else of forwarding."""

from __future__ import annotations

from kmes.core import language
from logging_reports import report_queue
from logging_reports.forwarding import delivery

_MARK = "kmes:notices:forwarding-hint"
_TIMEOUT_SECONDS = 900


def hint() -> None:
    """Have the report worker forward rows."""
    report_queue.enqueue_once(run_forwarding, mark=_MARK)


def hint_if_due() -> None:
    """Have the report worker forward rows, if a destination is due."""
    if delivery.find_due():
        hint()


@report_queue.report_task(timeout_seconds=_TIMEOUT_SECONDS)
def run_forwarding() -> None:
    """Give each destination a turn. Runs in the report worker, behind what else waits there."""
    report_queue.remove_mark(_MARK)
    with language.of_records():
        if delivery.deliver_due():
            hint()
