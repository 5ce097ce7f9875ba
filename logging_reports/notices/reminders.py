"""Rows that must be written once: reminders of what comes, by the upper apps' scans. And the pruning."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction

from kmes.core import options
from kmes.core.clock import now
from logging_reports.models import LogEntry
from logging_reports.notices.models import Channel, Notice, Reminder
from logging_reports.services import Draft, record_many

BATCH = 500


def remind_once(drafts: Sequence[tuple[str, Draft]]) -> list[LogEntry]:
    """Log those drafts whose key was never used before; return their rows.

    Two scans side by side remind once: the key's row stands in the transaction of the log row, and
    the loser of the race writes nothing (its whole batch comes with the next scan).

    Raises:
        IntegrityError: another scan was faster.
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


def prune() -> int:
    """Delete notices, with their deliveries, older than the option ``notice_keep_days`` says; return how many.

    The rows of channels deleted that long ago go as well.
    """
    since = now() - timedelta(days=options.value("notice_keep_days"))
    old = Notice.objects.filter(at__lt=since)
    count = old.count()
    old.delete()
    Channel.objects.filter(deleted_at__lt=since).delete()
    return count
