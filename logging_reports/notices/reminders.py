"""Reminders: log rows that the scans of higher apps write only once."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from logging_reports.models import LogEntry
from logging_reports.notices.models import Reminder
from logging_reports.services import Draft, record_many

BATCH = 500


def remind_once(drafts: Sequence[tuple[str, Draft]]) -> list[LogEntry]:
    """Log the drafts whose key was never used before. Return their rows.

    The key is written in the transaction of the log row. Of two concurrent scans one writes nothing; its
    batch follows with the next scan.

    Raises:
        IntegrityError: another scan wrote one of the keys first.
        LogWriteError: the log can't be written.

    """
    written: list[LogEntry] = []
    for start in range(0, len(drafts), BATCH):
        batch = dict(drafts[start : start + BATCH])
        with transaction.atomic():
            known = set(Reminder.objects.filter(key__in=batch).values_list("key", flat=True))
            fresh = {key: draft for key, draft in batch.items() if key not in known}
            if fresh:
                Reminder.objects.bulk_create(Reminder(key=key) for key in fresh)
                written += record_many(list(fresh.values()))
    return written
