"""Creates notices and their deliveries in the transaction that writes the log rows.

``apps`` registers ``create_notices`` with the log at start-up. Rows without a notice cost no query.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from django.db import transaction

from logging_reports.choices import Topic
from logging_reports.events import NOTICE_TOPICS, TO_EVERY_CHANNEL
from logging_reports.models import LogEntry
from logging_reports.notices.choices import IN_CONSOLE_ONLY, PERSONAL, wants
from logging_reports.notices.models import Channel, Delivery, Notice
from logging_reports.notices.notice_links import find_link
from logging_reports.notices.queue import hint

# The notice of a failed rotation covers that of its failed job.
_COVERED_BY = {"job.failed": "azure.rotation_failed", "job.refused": "azure.rotation_failed"}


def create_notices(entries: Sequence[LogEntry]) -> None:
    """Create the notices of these rows and their deliveries. After the commit the report worker gets a hint.

    Rows with the same key make one notice: an event of one job, an unreachable vault within an hour, the
    reminders of one scan. The heads of the logs must be locked, so that no two writers create the same
    notice.
    """
    by_key: dict[str, list[LogEntry]] = {}
    for entry in _drop_covered(entry for entry in entries if entry.event in NOTICE_TOPICS):
        by_key.setdefault(_key_of(entry), []).append(entry)
    if not by_key:
        return
    known = set(Notice.objects.filter(key__in=by_key).values_list("key", flat=True))
    notices = [_build(key, rows) for key, rows in by_key.items() if key not in known]
    if notices:
        _create_deliveries(Notice.objects.bulk_create(notices))


def create_delivery(notice: Notice, channel: Channel) -> Delivery:
    """Queue one notice for one channel, regardless of its rules. Call inside a transaction."""
    delivery = Delivery.objects.create(notice=notice, channel=channel, next_try_at=notice.at)
    transaction.on_commit(hint, robust=True)
    return delivery


def _create_deliveries(notices: Sequence[Notice]) -> None:
    channels = list(Channel.objects.filter(is_enabled=True))
    wanted = [
        Delivery(notice=notice, channel=channel, next_try_at=notice.at)
        for notice in notices
        for channel in channels
        if _is_wanted(notice, channel)
    ]
    if wanted:
        Delivery.objects.bulk_create(wanted)
        transaction.on_commit(hint, robust=True)


def _is_wanted(notice: Notice, channel: Channel) -> bool:
    if notice.topic in IN_CONSOLE_ONLY:
        return False
    # A personal notice goes to channels of its user only.
    if notice.user_id is not None and notice.user_id != channel.user_id:
        return False
    if notice.event in TO_EVERY_CHANNEL:
        return True
    return wants(channel.rules.get(notice.topic, ""), notice.severity)


def _drop_covered(entries: Iterable[LogEntry]) -> list[LogEntry]:
    found = list(entries)
    covering = {(entry.event, entry.job_id) for entry in found if entry.job_id}
    return [entry for entry in found if (_COVERED_BY.get(entry.event, ""), entry.job_id) not in covering]


def _key_of(entry: LogEntry) -> str:
    parts: tuple[object, ...]
    match NOTICE_TOPICS[entry.event]:
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
    first, topic = rows[0], NOTICE_TOPICS[rows[0].event]
    return Notice(
        key=key,
        topic=topic,
        event=first.event,
        severity=first.severity,
        message=_message_of(first),
        count=len(rows),
        at=first.at,
        service=first.service,
        sequence=first.sequence,
        url=find_link(rows)[:255],
        user_id=first.actor_user_id if topic in PERSONAL else None,
    )


def _message_of(entry: LogEntry) -> str:
    """Return the row's message. Put the name of its subject first, unless the message has it."""
    name = entry.key or entry.group or entry.vault or entry.credential
    return entry.message if name in entry.message else f"{name}: {entry.message}"
