"""Deletes old notices."""

from __future__ import annotations

from datetime import timedelta

from kmes.core import options
from kmes.core.clock import now
from logging_reports.notices.models import Channel, Notice


def delete_old_notices() -> int:
    """Delete notices and their deliveries after ``notice_keep_days`` (an option). Return how many notices.

    Deletes the rows of channels that were deleted that long ago as well.
    """
    since = now() - timedelta(days=options.value("notice_keep_days"))
    old = Notice.objects.filter(at__lt=since)
    count = old.count()
    old.delete()
    Channel.objects.filter(deleted_at__lt=since).delete()
    return count
