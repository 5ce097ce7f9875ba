"""Makes notices of log rows, and what has to go out, in the transaction that writes the rows.

The app registers ``raise_notices`` with the log at start-up (``apps``). Rows without a notice cost no query.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from django.db import transaction

from logging_reports.choices import Topic
from logging_reports.events import NOTICED
from logging_reports.models import LogEntry
from logging_reports.notices.choices import IN_CONSOLE_ONLY, wants
from logging_reports.notices.landing import find_landing
from logging_reports.notices.models import Channel, Delivery, Notice
from logging_reports.notices.queue import hint

# A rotation that failed is told as such; that its job failed says no more.
_TOLD_BY = {"job.failed": "azure.rotation_failed"}


def raise_notices(entries: Sequence[LogEntry]) -> None:
    """Insert the notices of these rows and their deliveries; the report worker is hinted after the commit.

    Rows of one matter make one notice, however many follow: an event of one job, an unreachable vault
    within an hour, the reminders of one scan. Call it while the heads of the logs are locked: that lock
    keeps two writers from making the same notice.
    """
    by_key: dict[str, list[LogEntry]] = {}
    for entry in _drop_told(entry for entry in entries if entry.event in NOTICED):
        by_key.setdefault(_key_of(entry), []).append(entry)
    if not by_key:
        return
    known = set(Notice.objects.filter(key__in=by_key).values_list("key", flat=True))
    notices = [_build(key, rows) for key, rows in by_key.items() if key not in known]
    if notices:
        _send(Notice.objects.bulk_create(notices))


def send_to(notice: Notice, channel: Channel) -> Delivery:
    """Send one notice through one channel, whatever its rules say. Call it inside a transaction."""
    delivery = Delivery.objects.create(notice=notice, channel=channel, next_try_at=notice.at)
    transaction.on_commit(hint, robust=True)
    return delivery


def _send(notices: Sequence[Notice]) -> None:
    channels = list(Channel.objects.filter(is_enabled=True))
    wanted = [
        Delivery(notice=notice, channel=channel, next_try_at=notice.at)
        for notice in notices
        for channel in channels
        if _fits(notice, channel)
    ]
    if wanted:
        Delivery.objects.bulk_create(wanted)
        transaction.on_commit(hint, robust=True)


def _fits(notice: Notice, channel: Channel) -> bool:
    if notice.topic in IN_CONSOLE_ONLY:
        return False
    # What concerns one person goes to nobody else.
    if notice.user_id is not None and notice.user_id != channel.user_id:
        return False
    return wants(channel.rules.get(notice.topic, ""), notice.severity)


def _drop_told(entries: Iterable[LogEntry]) -> list[LogEntry]:
    found = list(entries)
    told = {(entry.event, entry.job_id) for entry in found if entry.job_id}
    return [entry for entry in found if (_TOLD_BY.get(entry.event, ""), entry.job_id) not in told]


def _key_of(entry: LogEntry) -> str:
    parts: tuple[object, ...]
    match NOTICED[entry.event]:
        case Topic.EXPIRY:
            parts = (entry.severity, entry.at.isoformat())
        case Topic.VAULT:
            parts = (entry.vault, entry.credential_id, f"{entry.at:%Y-%m-%d %H}")
        case _ if entry.job_id:
            parts = (entry.job_id,)
        case _:
            parts = (entry.service, entry.sequence)
    return hashlib.sha256("\n".join(map(str, (entry.event, *parts))).encode()).hexdigest()


def _build(key: str, rows: Sequence[LogEntry]) -> Notice:
    first, topic = rows[0], NOTICED[rows[0].event]
    return Notice(
        key=key,
        topic=topic,
        event=first.event,
        severity=first.severity,
        message=_tell(first),
        count=len(rows),
        at=first.at,
        service=first.service,
        sequence=first.sequence,
        url=find_landing(rows)[:255],
        user_id=first.actor_user_id if topic == Topic.EXPORT else None,
    )


def _tell(entry: LogEntry) -> str:
    """Return the row's message, with the name of what it speaks of where it doesn't hold it."""
    name = entry.key or entry.group or entry.vault or entry.credential
    return entry.message if name in entry.message else f"{name}: {entry.message}"
