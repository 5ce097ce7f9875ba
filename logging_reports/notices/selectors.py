"""Queries of notices and channels for the pages. Writes only which notices a user has read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BooleanField, Case, Count, Exists, OuterRef, Q, QuerySet, When

from kmes.core.clock import now
from logging_reports.choices import Topic
from logging_reports.notices.choices import DeliveryState
from logging_reports.notices.models import Channel, Delivery, Notice, NoticeRead

# Older notices don't count as unread.
UNREAD_DAYS = 30
COUNT_CAP = 99


@dataclass(frozen=True)
class Reader:
    """A user by id, and since when the account exists: what is older counts as read."""

    user_id: int
    since: datetime


@dataclass(frozen=True)
class NoticeFilter:
    """Which notices to show."""

    unread_only: bool = False
    topic: str = ""
    text: str = ""


def list_notices(reader: Reader, wanted: NoticeFilter | None = None) -> QuerySet[Any, Any]:
    """Return a user's notices, newest first, each with ``is_read``."""
    readings = Exists(NoticeRead.objects.filter(notice=OuterRef("pk"), user_id=reader.user_id))
    found = _visible(reader.user_id).annotate(
        is_read=Case(When(at__lt=reader.since, then=True), default=readings, output_field=BooleanField())
    )
    if wanted and wanted.topic:
        found = found.filter(topic=wanted.topic)
    if wanted and wanted.text:
        found = found.filter(message__icontains=wanted.text)
    if wanted and wanted.unread_only:
        found = found.filter(~readings, at__gte=max(reader.since, now() - timedelta(days=UNREAD_DAYS)))
    return found.order_by("-at", "-pk")


def count_unread(reader: Reader) -> int:
    """Count a user's unread notices, up to ``COUNT_CAP`` + 1."""
    return list_notices(reader, NoticeFilter(unread_only=True)).order_by()[: COUNT_CAP + 1].count()


def mark_read(reader: Reader, notice_id: int | None = None) -> None:
    """Mark one notice as read by a user; without an id all unread ones."""
    unread = list_notices(reader, NoticeFilter(unread_only=True))
    if notice_id is not None:
        unread = unread.filter(pk=notice_id)
    NoticeRead.objects.bulk_create(
        [NoticeRead(notice_id=pk, user_id=reader.user_id) for pk in unread.values_list("pk", flat=True)],
        ignore_conflicts=True,
    )


def list_channels(search: str = "") -> QuerySet[Any, Any]:
    """Return the shared channels, each with its waiting and recently failed deliveries counted."""
    week_ago = now() - timedelta(days=7)
    found = Channel.objects.filter(user_id__isnull=True, deleted_at__isnull=True)
    if search:
        found = found.filter(Q(name__icontains=search) | Q(url__icontains=search) | Q(recipients__icontains=search))
    return found.annotate(
        waiting=Count("deliveries", filter=Q(deliveries__state=DeliveryState.WAITING)),
        failed=Count(
            "deliveries", filter=Q(deliveries__state=DeliveryState.FAILED, deliveries__finished_at__gte=week_ago)
        ),
    )


def list_deliveries(channel: Channel) -> QuerySet[Delivery]:
    """Return the deliveries of a channel, newest first."""
    return channel.deliveries.select_related("notice").order_by("-created_at")


def _visible(user_id: int) -> QuerySet[Notice]:
    mine = Q(user_id__isnull=True) | Q(user_id=user_id)
    return Notice.objects.filter(mine).exclude(topic=Topic.TEST)
