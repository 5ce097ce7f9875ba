"""The only writer of positions: what is announced before it is sent, confirmed after it, and repeated after a break.

Every write names the run that makes it, so that a worker that lost its claim writes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet

from kmes.core.clock import now
from logging_reports.forwarding.choices import SEVERITIES
from logging_reports.forwarding.models import ForwardingDestination, ForwardingPosition
from logging_reports.models import LogEntry, LogHead

# At most so many confirmed rows are repeated: twice what rsyslog keeps in memory unless told otherwise.
HIGHEST_REPEATED = 100_000


class ClaimLostError(Exception):
    """Another run has the destination now."""


def wanted_rows(destination: ForwardingDestination, service: str) -> QuerySet[LogEntry]:
    """Return the rows of a log that the destination's filter lets through."""
    found = LogEntry.objects.filter(service=service)
    lowest = SEVERITIES.index(destination.lowest_severity)
    if lowest:
        found = found.filter(severity__in=SEVERITIES[lowest:])
    return found.filter(event__in=destination.events) if destination.events else found


def head_of(service: str) -> int:
    """Return the sequence of the log's last row, 0 for an empty log."""
    return LogHead.objects.filter(service=service).values_list("sequence", flat=True).first() or 0


def create(destination: ForwardingDestination, service: str, *, from_beginning: bool) -> None:
    """Begin a log: with its first row, or with the next one to be written."""
    start = 0 if from_beginning else head_of(service)
    names = ("start", "confirmed", "last_sent", "announced", "settled", "settling")
    ForwardingPosition.objects.create(destination=destination, service=service, **dict.fromkeys(names, start))


def announce(position: ForwardingPosition, up_to: int, *, run_number: int) -> None:
    """Record that rows up to this one are about to be sent. Sent again later, they are repeats.

    Raises:
        ClaimLostError: another run has the destination.

    """
    if up_to > position.announced:
        _write(position, run_number, announced=up_to)


def confirm(position: ForwardingPosition, up_to: int, last_sent: int, *, run_number: int) -> None:
    """Record that the receiver took all rows up to this one.

    Raises:
        ClaimLostError: another run has the destination.

    """
    values: dict[str, Any] = {"confirmed": up_to, "last_sent": last_sent}
    if _is_over(position.settling_since):
        values |= {"settled": position.settling, "settling": up_to, "settling_since": now()}
    _write(position, run_number, **values)


def go_back(position: ForwardingPosition, destination: ForwardingDestination, *, run_number: int) -> None:
    """Go back to what the receiver certainly kept, after it broke off: it may have lost what it held in memory.

    Raises:
        ClaimLostError: another run has the destination.

    """
    kept = position.settling if _is_over(position.settling_since) else position.settled
    resume = max(kept, position.confirmed - HIGHEST_REPEATED)
    if resume >= position.confirmed:
        return
    last_sent = _last_wanted(destination, position, resume)
    _write(
        position,
        run_number,
        confirmed=resume,
        last_sent=last_sent,
        settled=resume,
        settling=resume,
        settling_since=now(),
    )


def send_again(destination: ForwardingDestination, service: str, first: int) -> None:
    """Have a log sent again from one row on. Call with the destination's row locked, which ends a running claim."""
    position = ForwardingPosition.objects.get(destination=destination, service=service)
    resume = first - 1
    ForwardingPosition.objects.filter(pk=position.pk).update(
        start=min(position.start, resume),
        confirmed=resume,
        last_sent=_last_wanted(destination, position, resume) if resume > position.start else resume,
        settled=resume,
        settling=resume,
        settling_since=None,
    )


def _last_wanted(destination: ForwardingDestination, position: ForwardingPosition, up_to: int) -> int:
    if destination.lowest_severity == SEVERITIES[0] and not destination.events:
        return up_to
    earlier = wanted_rows(destination, position.service).filter(sequence__lte=up_to, sequence__gt=position.start)
    return earlier.order_by("-sequence").values_list("sequence", flat=True).first() or position.start


def _is_over(since: datetime | None) -> bool:
    # A time in the future was written before the clock was set back.
    return since is None or abs(now() - since) >= timedelta(seconds=settings.KMES_FORWARDING_REPEAT_SECONDS)


def _write(position: ForwardingPosition, run_number: int, **values: Any) -> None:
    held = ForwardingPosition.objects.filter(
        Q(pk=position.pk) & Q(destination__in=ForwardingDestination.objects.filter(run_number=run_number))
    )
    if not held.update(**values):
        raise ClaimLostError
    for name, value in values.items():
        setattr(position, name, value)


def count_waiting() -> dict[tuple[Any, str], int]:
    """Return how many rows each destination has not looked at yet, by destination and log."""
    heads = dict(LogHead.objects.values_list("service", "sequence"))
    rows = ForwardingPosition.objects.values_list("destination_id", "service", F("confirmed"))
    return {(owner, service): max(heads.get(service, 0) - confirmed, 0) for owner, service, confirmed in rows}
