"""Builds the second part of the home page: the next 14 days, the jobs of the last 24 hours, and each vault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.db.models import Count
from django.db.models.functions import TruncHour
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.choices import FAILED_STATES, OPEN_STATES
from jobs.models import Job
from keygroups.due_days import Day, count_days
from keygroups.reports import count_ages, present_keys
from kmes.core.clock import now
from kmes.dashboard.posture import VaultPosture, read_postures
from kmes.ui.pictures import Cell, Picture, box, diamond, label, line, link
from logging_reports.reports.charts import draw_bars

DAYS, HOURS = 14, 24
_WIDTH, _HEIGHT, _LEFT, _TOP, _FLOOR = 560, 150, 8, 24, 118
_STEP_OF_LABELS = 3


@dataclass(frozen=True)
class Outlook:
    """All that the second part shows."""

    coming: Picture
    done: Picture
    postures: list[VaultPosture]
    # The chart of the keys' ages, and how many keys it counts; empty while there is none.
    key_age: SafeString | str
    keys: int


@dataclass
class Hour:
    """How many jobs were requested in one hour, by how they stand."""

    start: datetime
    good: int = 0
    failed: int = 0
    open: int = 0

    @property
    def total(self) -> int:
        """Return how many jobs were requested."""
        return self.good + self.failed + self.open


def build_outlook() -> Outlook:
    """Read and draw everything. Five queries."""
    bars, found = count_ages(present_keys())
    return Outlook(
        draw_days(count_days(now().date(), DAYS)),
        draw_hours(read_hours()),
        read_postures(),
        draw_bars("key-age", _("Keys by age"), bars) if found["total"] else "",
        found["total"],
    )


# --- Coming ----------------------------------------------------------------------------------
def draw_days(days: Sequence[Day]) -> Picture:
    """Draw due rotations as bars and expiries as marks, a column per day."""
    most, width = max((day.rotations for day in days), default=0), (_WIDTH - 2 * _LEFT) / len(days)
    shapes = [line(_LEFT, _FLOOR, _WIDTH - _LEFT, _FLOOR, look="axis")]
    for place, day in enumerate(days):
        left, middle = _LEFT + place * width, _LEFT + (place + 0.5) * width
        said = _say_day(day)
        height = _height(day.rotations, most)
        shapes.append(box(left + 3, _FLOOR - height, width - 6, height, look="fill-info", tip=said))
        if day.rotations:
            shapes.append(label(middle, _FLOOR - height - 5, str(day.rotations), anchor="middle", look="strong"))
        if day.expiries:
            shapes.append(diamond(middle, _TOP - 14, 6, look="mark-warning", tip=said))
            if day.expiries > 1:
                shapes.append(label(middle + 9, _TOP - 10, str(day.expiries)))
        shapes.append(label(middle, _FLOOR + 14, date_format(day.date, "D")[:2], anchor="middle", look="quiet"))
        shapes.append(label(middle, _FLOOR + 28, str(day.date.day), anchor="middle", look="quiet"))
    rotations, expiries = sum(day.rotations for day in days), sum(day.expiries for day in days)
    if not rotations and not expiries:
        shapes.append(label(_WIDTH / 2, _FLOOR / 2, _("Nothing is due."), anchor="middle", look="quiet"))
    told = _("%(rotations)s; %(expiries)s.") % {"rotations": _rotations(rotations), "expiries": _expiries(expiries)}
    return Picture(
        "coming",
        _("Next 14 days"),
        told,
        _WIDTH,
        _HEIGHT,
        shapes,
        (_("Day"), _("Rotations due"), _("Key versions that expire"), _("Secrets and certificates that expire")),
        [
            (Cell(day.date.isoformat()), Cell(str(day.rotations)), Cell(str(day.versions)), Cell(str(day.secrets)))
            for day in days
        ],
        (("fill-info", _("Rotations due")), ("mark-warning", _("Expiries"))),
    )


def _say_day(day: Day) -> str:
    return f"{day.date.isoformat()}: {_rotations(day.rotations)}, {_expiries(day.expiries)}"


def _rotations(count: int) -> str:
    return ngettext("%(count)d rotation due", "%(count)d rotations due", count) % {"count": count}


def _expiries(count: int) -> str:
    return ngettext("%(count)d expiry", "%(count)d expiries", count) % {"count": count}


# --- Done ------------------------------------------------------------------------------------
def read_hours() -> list[Hour]:
    """Count the jobs of the last 24 hours by the hour in which they were requested. One query."""
    this = now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first = this - timedelta(hours=HOURS - 1)
    hours = {first + timedelta(hours=number): Hour(first + timedelta(hours=number)) for number in range(HOURS)}
    # As Jobs lists them: a job on many key groups counts once.
    jobs = Job.objects.filter(created_at__gte=first, part_of=None).order_by()
    for row in jobs.values("state", hour=TruncHour("created_at", tzinfo=UTC)).annotate(count=Count("pk")):
        # A job from after this hour was requested when the clock went ahead.
        hour = hours.get(row["hour"])
        if hour is None:
            continue
        if row["state"] in FAILED_STATES:
            hour.failed += row["count"]
        elif row["state"] in OPEN_STATES:
            hour.open += row["count"]
        else:
            hour.good += row["count"]
    return list(hours.values())


def draw_hours(hours: Sequence[Hour]) -> Picture:
    """Draw the jobs of each hour as a bar: ended well, open, and hatched those that failed. A bar leads to its jobs."""
    most, width = max((hour.total for hour in hours), default=0), (_WIDTH - 2 * _LEFT) / len(hours)
    shapes = [line(_LEFT, _FLOOR, _WIDTH - _LEFT, _FLOOR, look="axis")]
    for place, hour in enumerate(hours):
        left, middle = _LEFT + place * width, _LEFT + (place + 0.5) * width
        if hour.total:
            said, floor, parts = _say_hour(hour), float(_FLOOR), []
            for count, look in ((hour.good, "fill-good"), (hour.open, "fill-neutral"), (hour.failed, "hatched-bad")):
                height = _height(hour.total, most) * count / hour.total
                floor -= height
                if count:
                    hatch = "done" if look == "hatched-bad" else ""
                    parts.append(box(left + 2, floor, width - 4, height, look=look, tip=said, hatch=hatch))
            parts.append(label(middle, floor - 5, str(hour.total), anchor="middle", look="quiet"))
            if hour.failed:
                parts.append(label(middle, floor - 19, f"✕ {hour.failed}", anchor="middle", look="strong-bad"))
            shapes.append(link(_jobs_url(hour), said, parts))
        if place % _STEP_OF_LABELS == 0:
            shapes.append(label(middle, _FLOOR + 14, f"{hour.start:%H}", anchor="middle", look="quiet"))
    failed, total = sum(hour.failed for hour in hours), sum(hour.total for hour in hours)
    told = _("%(jobs)s requested in the last 24 hours; %(failed)d failed.") % {"jobs": _jobs(total), "failed": failed}
    return Picture(
        "done",
        _("Jobs of the last 24 hours"),
        told,
        _WIDTH,
        _HEIGHT - 16,
        shapes,
        (_("Hour (UTC)"), _("Succeeded"), _("Waiting or running"), _("Failed")),
        [
            (
                Cell(f"{hour.start:%Y-%m-%d %H:00}", _jobs_url(hour)),
                *(Cell(str(count)) for count in (hour.good, hour.open, hour.failed)),
            )
            for hour in hours
            if hour.total
        ],
        (("fill-good", _("Succeeded")), ("fill-neutral", _("Waiting or running")), ("hatched-bad", _("Failed"))),
        acts=True,
    )


def _height(count: int, most: int) -> float:
    """Return the height of a bar; a small count stays visible beside a much larger one."""
    return max(3.0, (_FLOOR - _TOP - 16) * count / most) if count else 0.0


def _jobs(count: int) -> str:
    return ngettext("%(count)d job", "%(count)d jobs", count) % {"count": count}


def _say_hour(hour: Hour) -> str:
    said = _("%(jobs)s at %(hour)s UTC, %(failed)d failed")
    return said % {"jobs": _jobs(hour.total), "hour": f"{hour.start:%H:00}", "failed": hour.failed}


def _jobs_url(hour: Hour) -> str:
    end = hour.start + timedelta(hours=1)
    query = {
        "show": "failed" if hour.failed else "all",
        "since": f"{hour.start:%Y-%m-%d %H:%M}",
        "until": f"{end:%Y-%m-%d %H:%M}",
    }
    return f"{reverse('jobs:list')}?{urlencode(query)}"
