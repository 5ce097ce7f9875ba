"""Checkpoints of the log: decides when one is due, prepares its text and stores the signed result.

The device belongs to a higher layer: ``jobs.schedule.log_checkpoints`` has it sign between ``prepare``
and ``store``. Rows are verified before a checkpoint covers them, so no changed row is ever signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from kmes.core import clock, language
from kmes.core.actor import SYSTEM
from kmes.core.pinned_keys import KeyUse, PinnedKeysError, read_pinned
from logging_reports.anchors import NO_CHECKPOINT, Anchor, AnchorError, Position, Statement, hash_public_key
from logging_reports.chain import GENESIS, Break
from logging_reports.choices import Category, Service
from logging_reports.models import CheckpointTimeStamp, LogCheckpoint, LogEntry, LogHead, TimeStampOutage
from logging_reports.selectors import Neighborhood, has_row
from logging_reports.services import Subject, record
from logging_reports.verification import walk

# Number of new rows that makes a checkpoint due before its time.
ROWS_BEFORE_TIME = 1_000
# Maximum rows verified for one checkpoint, so that a scan stays short. The next one covers the rest.
ROWS_AT_ONCE = 20_000
# Also without new rows, so that a removed checkpoint leaves a gap in time.
AT_LEAST_EVERY = timedelta(hours=1)
OVERDUE_AFTER = AT_LEAST_EVERY + timedelta(minutes=5)


@dataclass(frozen=True)
class UnsignedCheckpoint:
    """A checkpoint before it is signed, and the breaks found in the logs."""

    text: str
    breaks: tuple[tuple[Service, Break], ...]


def find_newest() -> LogCheckpoint | None:
    """Return the newest checkpoint, or None."""
    return LogCheckpoint.objects.order_by("-number").first()


def positions_of(checkpoint: LogCheckpoint | None) -> dict[str, Position]:
    """Return where each log ended, by service. Empty without a checkpoint and for an invalid one."""
    statement = statement_of(checkpoint) if checkpoint else None
    return {position.service: position for position in statement.positions} if statement else {}


def statement_of(checkpoint: LogCheckpoint) -> Statement | None:
    """Return what a checkpoint says, or None when its signature or text is wrong, or its key is not a pinned one.

    Where no key is pinned yet, any key may have signed.
    """
    try:
        pinned = read_pinned(KeyUse.CHECKPOINT)
        statement = checkpoint.anchor.verify()
    except (AnchorError, PinnedKeysError):
        return None
    return statement if not pinned or statement.key in pinned else None


def find_newest_time_stamp() -> CheckpointTimeStamp | None:
    """Return the time stamp of the newest checkpoint that has one, or None."""
    return CheckpointTimeStamp.objects.order_by("-number").first()


def find_outage() -> TimeStampOutage | None:
    """Return since when the time-stamping authority gives no time stamp; None while it does."""
    return TimeStampOutage.objects.filter(failures__gt=0).first()


@dataclass(frozen=True)
class CheckpointState:
    """The newest checkpoint, what it says, whether the next one is overdue, and how time stamps stand.

    ``time_stamp`` and ``outage`` are None where no authority is configured.
    """

    row: LogCheckpoint | None
    statement: Statement | None
    is_overdue: bool
    time_stamp: CheckpointTimeStamp | None
    outage: TimeStampOutage | None


def find_state() -> CheckpointState:
    """Return the state of the checkpoints. One query, three where an authority is configured."""
    newest = find_newest()
    if newest is None:
        return CheckpointState(None, None, is_overdue=False, time_stamp=None, outage=None)
    is_overdue = clock.now() - newest.at > OVERDUE_AFTER
    stamp, outage = (find_newest_time_stamp(), find_outage()) if settings.KMES_TIMESTAMP_URL else (None, None)
    return CheckpointState(newest, statement_of(newest), is_overdue, stamp, outage)


class Mark(TextChoices):
    """Whether a row is proven to be unchanged."""

    VERIFIED = "verified", _("Chain verified")
    BROKEN = "broken", _("Chain broken")
    UNCHECKED = "unchecked", _("Not yet checked")


@dataclass(frozen=True)
class ChainMark:
    """A row's mark, and the checkpoint that covers it."""

    mark: Mark
    checkpoint: LogCheckpoint | None


def mark_of(near: Neighborhood) -> ChainMark:
    """Return a row's mark from its hash, its links and the newest checkpoint. Two queries.

    Verified means: the row and its links are valid, a signed checkpoint covers it, and the row that the
    checkpoint names still exists. The rows between were verified when the checkpoint was prepared.
    """
    newest = find_newest()
    if not near.is_intact:
        return ChainMark(Mark.BROKEN, newest)
    statement = statement_of(newest) if newest else None
    if newest is not None and statement is None:
        return ChainMark(Mark.BROKEN, newest)
    positions = {each.service: each for each in statement.positions} if statement else {}
    covered = positions.get(near.entry.service)
    if covered is None or covered.sequence < near.entry.sequence:
        return ChainMark(Mark.UNCHECKED, newest)
    is_there = has_row(covered.service, covered.sequence, covered.hash)
    return ChainMark(Mark.VERIFIED if is_there else Mark.BROKEN, newest)


def is_due() -> bool:
    """Return whether another checkpoint is due. Two queries."""
    newest = find_newest()
    known = positions_of(newest)
    waiting = sum(
        max(0, head.sequence - (known[head.service].sequence if head.service in known else 0))
        for head in LogHead.objects.all()
    )
    if newest is None:
        return waiting > 0
    age = clock.now() - newest.at
    soon = timedelta(seconds=settings.KMES_CHECKPOINT_SECONDS)
    return age >= AT_LEAST_EVERY or waiting >= ROWS_BEFORE_TIME or (waiting > 0 and age >= soon)


def prepare(public_key: bytes) -> UnsignedCheckpoint | None:
    """Verify the rows since the newest checkpoint and write the text of the next one.

    A log with a break is covered up to the last valid row. None when there is nothing new to cover.
    """
    newest = find_newest()
    known = positions_of(newest)
    positions, breaks = [], []
    for service in sorted(Service.values):
        start = known.get(service, Position(service, 0, GENESIS))
        reached = walk(Service(service), after=start.sequence, previous_hash=start.hash, limit=ROWS_AT_ONCE)
        positions.append(Position(service, reached.sequence, reached.hash))
        if reached.first_break:
            breaks.append((Service(service), reached.first_break))
    moment = clock.now()
    if newest and tuple(positions) == tuple(known.values()) and moment - newest.at < AT_LEAST_EVERY:
        return UnsignedCheckpoint("", tuple(breaks)) if breaks else None
    number, previous = (newest.number + 1, newest.hash) if newest else (1, NO_CHECKPOINT)
    statement = Statement(number, moment, hash_public_key(public_key), previous, tuple(positions))
    return UnsignedCheckpoint(statement.to_text(), tuple(breaks))


def store(anchor: Anchor) -> LogCheckpoint | None:
    """Store a signed checkpoint. None when another worker stored one of this number first.

    Raises:
        AnchorError: the signature is wrong; nothing is stored.

    """
    statement = anchor.verify()
    former = find_newest()
    row = LogCheckpoint(
        number=statement.number,
        at=statement.at,
        text=anchor.text,
        signature=anchor.signature,
        public_key=anchor.public_key,
        hash=statement.hash,
    )
    try:
        with transaction.atomic():
            row.save()
            if former is None or bytes(former.public_key) != anchor.public_key:
                record(
                    "log.checkpoint_key",
                    actor=SYSTEM,
                    message=f"Checkpoints from {statement.number} on are signed by the key {statement.key}",
                    data={"number": statement.number, "key": f"sha256:{statement.key}"},
                )
    except IntegrityError:
        return None
    return row


def report_break(service: Service, found: Break) -> None:
    """Log that a log has a break. Each place is logged once."""
    label = language.recorded(service.label)
    place = f"{label} {found.sequence}"
    rows = LogEntry.objects.filter(service=Service.AUDIT, category=Category.INTEGRITY, event="log.chain_broken")
    if not rows.filter(version=place).exists():
        record(
            "log.chain_broken",
            actor=SYSTEM,
            message=f"The {label} log does not hold at row {found.sequence}: {found.reason}",
            subject=Subject(version=place),
            data={"service": service.value, "sequence": found.sequence, "reason": found.reason},
        )
