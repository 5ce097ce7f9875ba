"""Verifies a whole log: every row, every link, the end, and the triggers that guard it. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection

from logging_reports import triggers
from logging_reports.chain import GENESIS, Break, find_break
from logging_reports.models import LogEntry, LogHead
from logging_reports.selectors import BATCH_SIZE

if TYPE_CHECKING:
    from logging_reports.choices import Service


@dataclass(frozen=True)
class Verdict:
    """What the walk over one log found; ``head_hash`` is worth keeping somewhere else."""

    service: str
    rows: int
    head_hash: str
    first_break: Break | None

    @property
    def is_intact(self) -> bool:
        """Whether every row and link held."""
        return self.first_break is None


def verify_service(service: Service) -> Verdict:
    """Walk a log from its first row to its recorded end.

    Rows appended during the walk are walked too: the end is read only after the last row, and
    a row and the end it makes are committed together. Rows cut off the end *with* the end
    moved back can't be found from the database alone; compare ``head_hash`` with one kept
    elsewhere.
    """
    rows, last_hash = 0, GENESIS
    while True:
        batch = list(LogEntry.objects.filter(service=service, sequence__gt=rows).order_by("sequence")[:BATCH_SIZE])
        if batch:
            held, found = find_break(batch, after=rows, previous_hash=last_hash)
            rows += held
            last_hash = batch[held - 1].hash if held else last_hash
            if found:
                return Verdict(service.value, rows, last_hash, found)
            continue
        head = _read_head(service)
        if head[0] > rows and LogEntry.objects.filter(service=service, sequence__gt=rows).exists():
            continue
        _count, found = find_break([], after=rows, previous_hash=last_hash, head=head)
        return Verdict(service.value, rows, last_hash, found)


def find_missing_guards() -> list[str]:
    """Return the names of triggers that should refuse changes and aren't there."""
    return triggers.find_missing(connection)


def _read_head(service: Service) -> tuple[int, str]:
    head = LogHead.objects.filter(service=service).first()
    return (head.sequence, head.hash) if head else (0, GENESIS)
