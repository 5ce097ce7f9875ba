"""The rotation calendar: 14 weeks of due rotations against the vaults' pace, with what expires. Reads and draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Any
from uuid import UUID

from django.http import QueryDict
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.rate_limit import limit_of
from keygroups.choices import VersionState
from keygroups.due_days import Day, Days, count_days
from keygroups.models import CloudVersion, KeyGroup
from keygroups.rotation_standing import LATE_AFTER, is_late
from kmes.core.clock import now
from kmes.ui.pictures import Cell, Picture, box, diamond, label, link

# This week and the next 13: a period of 90 days ends within them on any weekday.
WEEKS, WEEKDAYS = 14, 7
LISTED = 50
# A rotation changes a vault's HSM twice: it makes a KEK and imports a key (docs/azure.md#limits-and-throttling).
_CHANGES_PER_ROTATION = 2
_LEFT, _TOP, _CELL_WIDTH, _CELL_HEIGHT = 44, 34, 65, 40
# Shares of the pace from which on a cell is filled darker.
_QUARTER, _HALF = 0.25, 0.5


@dataclass(frozen=True)
class Load:
    """One day, and how much of a vault's pace its rotations take at most; above 1 they would end late."""

    day: Day
    share: float

    @property
    def is_overloaded(self) -> bool:
        """Return whether a vault can't take its rotations of the day in time, if all fall due at the same moment."""
        return self.share > 1


@dataclass(frozen=True)
class DayList:
    """What falls due on some days, object by object; ``count`` rotations, of which ``more`` are not listed."""

    days: Days
    groups: list[KeyGroup]
    count: int
    more: int
    versions: list[CloudVersion]
    credentials: list[CloudCredential]


def read_calendar(chosen: Days | None) -> tuple[Picture, list[Load]]:
    """Return the calendar from this week's Monday on, and its days. Two queries."""
    today = now().astimezone(UTC).date()
    days = count_days(today - timedelta(days=today.weekday()), WEEKS * WEEKDAYS)
    pace = _read_pace({vault for day in days for vault in day.by_vault})
    loads = [
        Load(day, max((count / pace[v] for v, count in day.by_vault.items() if v in pace), default=0)) for day in days
    ]
    return draw(loads, today, chosen), loads


def _read_pace(vault_ids: set[UUID]) -> dict[UUID, float]:
    """Return how many rotations each vault's pace allows before the last of them is late; without a limit, none."""
    if not vault_ids:
        return {}
    vaults = KeyVault.objects.filter(pk__in=vault_ids).select_related("credential").defer("credential__sealed_secret")
    limits = {vault.pk: limit_of(vault) for vault in vaults}
    return {
        pk: LATE_AFTER.total_seconds() * limit.changes / limit.seconds / _CHANGES_PER_ROTATION
        for pk, limit in limits.items()
        if limit is not None
    }


def count_late() -> int:
    """Return how many rotations are late: they are due, and stand in no cell that is to come."""
    return KeyGroup.objects.filter(is_late()).count()


def list_days(days: Days) -> DayList:
    """Return what falls due on some days, by time. Four queries at most."""
    start, end = days.limits
    groups = days.groups().select_related("vault")
    listed = list(groups[: LISTED + 1])
    count = groups.count() if len(listed) > LISTED else len(listed)
    versions = CloudVersion.objects.filter(state=VersionState.ACTIVE, expires_at__gte=start, expires_at__lt=end)
    credentials = CloudCredential.objects.filter(sign_in_expires_on__gte=days.first, sign_in_expires_on__lte=days.last)
    return DayList(
        days,
        listed[:LISTED],
        count,
        count - len(listed[:LISTED]),
        list(
            versions.select_related("key", "group")
            .defer("key__wrapped_private", "key__public_spki")
            .order_by("expires_at")[:LISTED]
        ),
        list(credentials.defer("sealed_secret").order_by("sign_in_expires_on", "name")[:LISTED]),
    )


# --- Drawing ---------------------------------------------------------------------------------
def draw(loads: Sequence[Load], today: date, chosen: Days | None) -> Picture:
    """Draw a column per week and a row per day of the week; each day leads to its list."""
    shapes: list[SafeString] = []
    for place in range(WEEKDAYS):
        name = date_format(loads[place].day.date, "D")
        shapes.append(label(_LEFT - 8, _TOP + place * _CELL_HEIGHT + 24, name, look="quiet", anchor="end"))
    for place, load in enumerate(loads):
        day = load.day.date
        if place % WEEKDAYS == 0:
            month = date_format(day, "M j")
            shapes.append(label(_LEFT + place // WEEKDAYS * _CELL_WIDTH + 4, _TOP - 10, month, look="quiet"))
        shapes.append(_draw_day(load, place, today, chosen))
    rotations = sum(load.day.rotations for load in loads)
    return Picture(
        "calendar",
        _("Rotation calendar"),
        _("%(rotations)s and %(expiries)s in 14 weeks; %(overloads)s.")
        % {
            "rotations": _rotations(rotations),
            "expiries": _expiries(sum(load.day.expiries for load in loads)),
            "overloads": _overloads(sum(load.is_overloaded for load in loads)),
        },
        _LEFT + WEEKS * _CELL_WIDTH + 2,
        _TOP + WEEKDAYS * _CELL_HEIGHT + 2,
        shapes,
        (
            _("Day"),
            _("Rotations due"),
            _("Share of the pace"),
            _("Key versions that expire"),
            _("Secrets and certificates that expire"),
        ),
        [_row(load) for load in loads if load.day.rotations or load.day.expiries],
        (
            ("load-1", _("Rotations due")),
            ("load-2", _("Over a quarter of a vault's pace")),
            ("load-3", _("Over half")),
            ("load-over hatched-bad", _("More than the vault takes in time")),
            ("mark-warning", _("Expiries")),
        ),
        acts=True,
    )


def _row(load: Load) -> tuple[Cell, ...]:
    day = load.day
    share = f"{round(100 * load.share)} %" if load.share else "–"
    counts = (str(day.rotations), share, str(day.versions), str(day.secrets))
    return (Cell(day.date.isoformat(), day_url(day.date)), *map(Cell, counts))


def day_url(day: date) -> str:
    """Return the calendar with a day's list open."""
    return f"{reverse('keygroups:calendar')}?{Days(day, day).query()}#day"


def _draw_day(load: Load, place: int, today: date, chosen: Days | None) -> SafeString:
    day = load.day
    left, top = _LEFT + place // WEEKDAYS * _CELL_WIDTH, _TOP + place % WEEKDAYS * _CELL_HEIGHT
    width, height = _CELL_WIDTH - 3, _CELL_HEIGHT - 3
    look = "load-0" if day.date >= today else "load-past"
    if load.is_overloaded:
        look = "load-over hatched-bad"
    elif day.rotations:
        look = "load-3" if load.share > _HALF else "load-2" if load.share > _QUARTER else "load-1"
    said = _say(load)
    shapes = [
        box(left, top, width, height, look=look, tip=said, corner=3, hatch="calendar" if load.is_overloaded else "")
    ]
    is_chosen = chosen is not None and day.date in chosen
    if is_chosen or day.date == today:
        shapes.append(
            box(
                left + 1,
                top + 1,
                width - 2,
                height - 2,
                look="cell-chosen" if is_chosen else "cell-today",
                corner=2,
            )
        )
    number = "on-load" if look in {"load-2", "load-3"} else "quiet"
    shapes.append(label(left + 5, top + 13, str(day.date.day), look=f"small {number}"))
    if day.rotations:
        if load.is_overloaded:
            shapes.append(box(left + width / 2 - 18, top + 14, 36, 18, look="plate", corner=3))
        strong = "strong on-load" if look in {"load-2", "load-3"} else "strong"
        shapes.append(label(left + width / 2, top + 28, str(day.rotations), look=strong, anchor="middle"))
    if day.expiries:
        shapes.append(diamond(left + width - 10, top + 10, 6, look="mark-warning"))
    return link(day_url(day.date), said, shapes)


def _say(load: Load) -> str:
    day = load.day
    parts = [_rotations(day.rotations), _expiries(day.expiries)]
    if load.is_overloaded:
        parts.append(_("more rotations than a vault takes in time"))
    return f"{day.date.isoformat()}: {', '.join(parts)}"


def _rotations(count: int) -> str:
    return ngettext("%(count)d rotation due", "%(count)d rotations due", count) % {"count": count}


def _expiries(count: int) -> str:
    return ngettext("%(count)d expiry", "%(count)d expiries", count) % {"count": count}


def _overloads(count: int) -> str:
    said = ngettext("%(count)d day is overloaded", "%(count)d days are overloaded", count)
    return said % {"count": count} if count else _("no day is overloaded")


def context_of(query: QueryDict) -> dict[str, Any]:
    """Return what the page shows; the address names the days whose list is open."""
    chosen = Days.read(query)
    picture, _loads = read_calendar(chosen)
    return {"picture": picture, "late": count_late(), "list": list_days(chosen) if chosen else None}
