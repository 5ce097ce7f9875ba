"""When a group's rotation falls due, how long a version lives, and what a rotated key is called.

Arithmetic only: no rows, no clock. Due moments are counted from the schedule's anchor
(anchor + n periods), never from the one before, so that months don't drift: a schedule begun on
31 January comes due on 28 February and again on 31 March.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import UTC, datetime, timedelta

from dateutil.relativedelta import relativedelta

from keygroups.choices import PeriodUnit

# The shortest length of each unit limits how many periods fit into a span of time.
_SHORTEST_DAYS = {PeriodUnit.DAYS: 1, PeriodUnit.WEEKS: 7, PeriodUnit.MONTHS: 28}
# Counted from its first day, a period of months takes each length it can have within four years.
_MONTHS_OF_A_LEAP_CYCLE = [datetime(year, month, 1, tzinfo=UTC) for year in range(2001, 2005) for month in range(1, 13)]
# Within so many periods of months, one ends on any day that a period can begin on.
_MOST_PERIODS_BACK = 48
_NAME_SUFFIX = "-%Y%m%d-%H%M%S"


def add_period(moment: datetime, count: int, unit: str) -> datetime:
    """Return ``moment`` plus ``count`` units; a month's missing day becomes its last one.

    Raises:
        OverflowError or ValueError: the result lies beyond the calendar (year 9999).

    """
    match PeriodUnit(unit):
        case PeriodUnit.DAYS:
            return moment + timedelta(days=count)
        case PeriodUnit.WEEKS:
            return moment + timedelta(weeks=count)
        case PeriodUnit.MONTHS:
            return moment + relativedelta(months=count)


def days_in(count: int, unit: str) -> tuple[int, int]:
    """Return the fewest and the most days that ``count`` units can be, whenever they begin.

    Raises:
        OverflowError or ValueError: as ``add_period``.

    """
    days = [(add_period(first, count, unit) - first).days for first in _MONTHS_OF_A_LEAP_CYCLE]
    return min(days), max(days)


def next_due(anchor: datetime, every: int, unit: str, *, after: datetime) -> datetime:
    """Return the first due moment later than ``after``; the anchor itself is none."""
    return add_period(anchor, every * _periods_passed(anchor, every, unit, after) + every, unit)


def anchor_before(due: datetime, every: int, unit: str) -> datetime:
    """Return the latest earlier anchor whose schedule falls due at ``due``.

    Of 31 March, every month, that is 31 January: a schedule begun on 28 February would fall due on 28 March.
    """
    for count in range(1, _MOST_PERIODS_BACK + 1):
        anchor = add_period(due, -every * count, unit)
        if add_period(anchor, every * count, unit) == due:
            return anchor
    return add_period(due, -every, unit)


def due_slots(anchor: datetime, every: int, unit: str, since: datetime, until: datetime) -> list[datetime]:
    """Return the due moments later than ``since`` and not later than ``until``, in order."""
    slots = []
    moment = next_due(anchor, every, unit, after=max(since, anchor))
    while moment <= until:
        slots.append(moment)
        moment = next_due(anchor, every, unit, after=moment)
    return slots


def expiry(pushed_at: datetime, valid_for: int | None, unit: str) -> datetime | None:
    """Return when a version pushed at ``pushed_at`` expires, in whole seconds as Azure stores it; None: never."""
    if not valid_for:
        return None
    return add_period(pushed_at, valid_for, unit).replace(microsecond=0)


def rotated_key_name(group_name: str, at: datetime, taken: Container[str]) -> str:
    """Return the name of a key made by rotation: ``<group>-YYYYMMDD-HHMMSS`` in UTC, made unique.

    ``taken`` holds the names in use, casefolded.
    """
    name = group_name + at.astimezone(UTC).strftime(_NAME_SUFFIX)
    candidate, number = name, 2
    while candidate.casefold() in taken:
        candidate = f"{name}-{number}"
        number += 1
    return candidate


def _periods_passed(anchor: datetime, every: int, unit: str, moment: datetime) -> int:
    """Return how many whole periods lie between ``anchor`` and ``moment``, 0 at least."""
    days = (moment - anchor).days
    low, high = 0, max(days // (_SHORTEST_DAYS[PeriodUnit(unit)] * every), 0) + 1
    while low < high:
        middle = (low + high + 1) // 2
        if add_period(anchor, every * middle, unit) <= moment:
            low = middle
        else:
            high = middle - 1
    return low
