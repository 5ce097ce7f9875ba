"""Which checkpoint gets a time stamp, and when: the only writer of time stamps. Runs in the report worker.

The newest checkpoint is stamped, at most every ``KMES_TIMESTAMP_SECONDS``. It names the one before it, so its time
stamp proves those too. An authority that does not answer holds up nothing: the next try is for the newest checkpoint
of that moment.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from kmes.core import clock, language
from kmes.core.actor import SYSTEM
from kmes.core.columns import cut
from kmes.core.stored_text import storable
from logging_reports import report_queue, time_stamp_authority
from logging_reports.checkpoints import find_newest, find_newest_time_stamp
from logging_reports.models import CheckpointTimeStamp, LogCheckpoint, TimeStampOutage
from logging_reports.safe_text import visible
from logging_reports.services import record
from logging_reports.time_stamps import TimeStamp, TimeStampError

logger = logging.getLogger(__name__)
# Pauses after the first failures in a row, and after each further one.
RETRY_SECONDS = (60, 300, 900, 3600)
# A passing outage is no news; the hash chain alone protects the log meanwhile.
REPORTED_AFTER = timedelta(hours=1)
# Longer than one request. A worker that dies during one holds up the next for this time.
LEASE_SECONDS = 60
_TIMEOUT_SECONDS = 120
_MARK = "kmes:notices:time-stamp-hint"


def find_due() -> LogCheckpoint | None:
    """Return the checkpoint that is to be stamped now, or None. At most three queries; none where it is disabled."""
    if not settings.KMES_TIMESTAMP_URL or TimeStampOutage.objects.filter(next_try_at__gt=clock.now()).exists():
        return None
    last, newest = find_newest_time_stamp(), find_newest()
    if newest is None or (last is not None and last.number >= newest.number):
        return None
    age = clock.now() - last.received_at if last else None
    # A last one in the future was received before the clock was set back.
    is_recent = age is not None and timedelta(0) <= age < timedelta(seconds=settings.KMES_TIMESTAMP_SECONDS)
    return None if is_recent else newest


def hint() -> None:
    """Have the report worker get a time stamp, if one is due."""
    if find_due() is not None:
        report_queue.enqueue_once(run_time_stamp, mark=_MARK)


@report_queue.report_task(timeout_seconds=_TIMEOUT_SECONDS)
def run_time_stamp() -> None:
    """Get the time stamp that is due. Runs in the report worker."""
    report_queue.remove_mark(_MARK)
    with language.of_records():
        stamp_due()


def stamp_due() -> CheckpointTimeStamp | None:
    """Get and store the time stamp that is due. None when there is none, or the authority gave none."""
    checkpoint = find_due()
    if checkpoint is None or not _claim():
        return None
    try:
        response, stamp = time_stamp_authority.request_time_stamp(checkpoint.anchor.to_file().encode())
    except TimeStampError as error:
        _write_failure(str(error))
        return None
    return _store(checkpoint, response, stamp)


def _claim() -> bool:
    """Return whether this worker may ask now; no other one does during the lease."""
    moment = clock.now()
    until = moment + timedelta(seconds=LEASE_SECONDS)
    _row, is_new = TimeStampOutage.objects.get_or_create(pk=1, defaults={"next_try_at": until})
    return is_new or bool(TimeStampOutage.objects.filter(pk=1, next_try_at__lte=moment).update(next_try_at=until))


def _store(checkpoint: LogCheckpoint, response: bytes, stamp: TimeStamp) -> CheckpointTimeStamp | None:
    row = CheckpointTimeStamp(
        number=checkpoint.number,
        at=stamp.at,
        authority=cut(CheckpointTimeStamp, "authority", stamp.authority),
        policy=cut(CheckpointTimeStamp, "policy", stamp.policy),
        response=response,
        received_at=clock.now(),
    )
    try:
        with transaction.atomic():
            row.save()
            outage = TimeStampOutage.objects.select_for_update().get(pk=1)
            if outage.is_reported:
                record(
                    "log.time_stamps_resumed",
                    actor=SYSTEM,
                    message=f"Checkpoint {row.number} has a time stamp of {row.authority} again",
                    data={"number": row.number},
                )
            TimeStampOutage.objects.filter(pk=1).update(
                failures=0, failing_since=None, last_error="", is_reported=False, next_try_at=clock.now()
            )
    except IntegrityError:
        return None
    # Like the line of the checkpoint itself, this one leaves the machine by other ways than the database.
    logger.info("checkpoint %s of the log: time stamp %s", row.number, row.at.isoformat())
    return row


def _write_failure(error: str) -> None:
    # The authority wrote a part of it.
    error, moment = visible(storable(error)), clock.now()
    logger.warning("no time stamp: %s", error)
    with transaction.atomic():
        outage = TimeStampOutage.objects.select_for_update().get(pk=1)
        pause = RETRY_SECONDS[min(outage.failures, len(RETRY_SECONDS) - 1)]
        since = outage.failing_since or moment
        is_news = not outage.is_reported and moment - since >= REPORTED_AFTER
        if is_news:
            record(
                "log.time_stamps_missing",
                actor=SYSTEM,
                message=f"No time stamp since {since:%Y-%m-%d %H:%M} UTC: {error}",
                data={"failures": outage.failures + 1},
            )
        TimeStampOutage.objects.filter(pk=1).update(
            failures=F("failures") + 1,
            failing_since=since,
            last_error=cut(TimeStampOutage, "last_error", error),
            is_reported=outage.is_reported or is_news,
            next_try_at=moment + timedelta(seconds=pause),
        )
