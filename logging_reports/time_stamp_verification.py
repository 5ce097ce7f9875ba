"""Verifies the stored time stamps of checkpoints under the certificates of their authority. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509

from logging_reports.anchors import Anchor, AnchorError, read_statement
from logging_reports.models import CheckpointTimeStamp, LogCheckpoint
from logging_reports.selectors import BATCH_SIZE
from logging_reports.time_stamps import TimeStampError, read_time_stamp
from logging_reports.verification import CLOCK_TOLERANCE


@dataclass(frozen=True)
class TimeStampVerdict:
    """The result of verifying the time stamps: their number, what the first and the last prove, and the faults.

    ``unstamped`` is the number of checkpoints after the last one that has a time stamp.
    """

    count: int
    first: str
    last: str
    unstamped: int
    faults: tuple[str, ...]


def verify_time_stamps(trusted: Sequence[x509.Certificate]) -> TimeStampVerdict:
    """Verify every time stamp: that an authority of a trusted chain stamped the checkpoint of its number, and when.

    A checkpoint is proven by its own time stamp or by that of a later one, which names it.
    """
    faults: list[str] = []
    proven: list[str] = []
    count = newest = 0
    for row, anchor in _pairs():
        count += 1
        if anchor is None:
            faults.append(f"checkpoint {row.number} is gone, which has a time stamp")
            continue
        try:
            proven.append(_verify(row, anchor, trusted))
        except (TimeStampError, AnchorError) as error:
            faults.append(f"time stamp of checkpoint {row.number}: {error}")
            continue
        del proven[1:-1]
        newest = row.number
    unstamped = LogCheckpoint.objects.filter(number__gt=newest).count()
    first, last = (proven[0], proven[-1]) if proven else ("", "")
    return TimeStampVerdict(count, first, last, unstamped, tuple(faults))


def _verify(row: CheckpointTimeStamp, anchor: Anchor, trusted: Sequence[x509.Certificate]) -> str:
    """Return what a time stamp proves.

    Raises:
        TimeStampError: it does not hold, or contradicts the table or the checkpoint.
        AnchorError: the checkpoint's text is none.

    """
    stamp = read_time_stamp(bytes(row.response), anchor.to_file().encode(), trusted=trusted)
    if stamp.at != row.at:
        raise TimeStampError("its time is not the one that the table names")
    if read_statement(anchor.text).at > stamp.at + CLOCK_TOLERANCE:
        raise TimeStampError(f"it is of {stamp.at:%Y-%m-%d %H:%M} UTC, and the checkpoint claims to be later")
    return f"checkpoint {row.number} existed at {stamp.at:%Y-%m-%d %H:%M:%S} UTC, as {stamp.authority} states"


def _pairs() -> Iterator[tuple[CheckpointTimeStamp, Anchor | None]]:
    """Yield each time stamp with its checkpoint's anchor, None where the checkpoint is gone."""
    after = 0
    while rows := list(CheckpointTimeStamp.objects.filter(number__gt=after).order_by("number")[:BATCH_SIZE]):
        after = rows[-1].number
        anchors = LogCheckpoint.objects.in_bulk([row.number for row in rows])
        for row in rows:
            found = anchors.get(row.number)
            yield row, found.anchor if found else None
