"""What falls due on which day: rotations, and what expires. Reads only; one query, whatever the number of groups."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import CharField, Count, F, Q, QuerySet, UUIDField, Value
from django.db.models.functions import TruncDate
from django.http import QueryDict

from cloudcreds.models import CloudCredential
from keygroups.choices import GroupCloudState, VersionState
from keygroups.models import CloudVersion, KeyGroup

_NO_VAULT = UUID(int=0)
_ROTATION, _VERSION, _SECRET = "rotation", "version", "secret"


@dataclass
class Day:
    """How much falls due on one day, in UTC. ``by_vault``: rotations by the vault's id."""

    date: date
    versions: int = 0
    secrets: int = 0
    by_vault: dict[UUID, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def rotations(self) -> int:
        """Return how many rotations fall due."""
        return sum(self.by_vault.values())

    @property
    def expiries(self) -> int:
        """Return how many active versions, secrets and certificates expire."""
        return self.versions + self.secrets


@dataclass(frozen=True)
class Days:
    """The days from ``first`` to ``last``, both of them included, in UTC."""

    first: date
    last: date

    @classmethod
    def read(cls, query: QueryDict) -> Days | None:
        """Return the days that an address names (``day``, ``until``), in order; None if it names none."""
        first = read_day(query.get("day", ""))
        last = read_day(query.get("until", "")) or first
        return cls(min(first, last), max(first, last)) if first and last else None

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    @property
    def limits(self) -> tuple[datetime, datetime]:
        """Return the first moment of the days, and the first one after them."""
        return start_of(self.first), start_of(self.last + timedelta(days=1))

    def query(self) -> str:
        """Return the part of an address that names the days."""
        until = {"until": self.last.isoformat()} if self.last != self.first else {}
        return urlencode({"day": self.first.isoformat(), **until})

    def groups(self) -> QuerySet[KeyGroup]:
        """Return the groups whose rotation falls due on these days, by time."""
        found: QuerySet[KeyGroup] = KeyGroup.objects.filter(is_due_within(*self.limits))
        return found.order_by("next_due_at", "name")


def read_day(text: str) -> date | None:
    """Return the day in a text, if it is one from which weeks can be counted."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if date.min.year + 1 < day.year < date.max.year else None


def is_due_within(first: datetime, end: datetime) -> Q:
    """Return the condition of a group whose next rotation falls due in a time. A deleted Azure key can't rotate."""
    return Q(rotate=True, next_due_at__gte=first, next_due_at__lt=end) & ~Q(cloud_state=GroupCloudState.SOFT_DELETED)


def count_days(first: date, days: int) -> list[Day]:
    """Return what falls due on each of the next days. Rotations that are late by then are not counted."""
    last = first + timedelta(days=days - 1)
    start, end = start_of(first), start_of(last + timedelta(days=1))
    groups = KeyGroup.objects.filter(is_due_within(start, end))
    versions = CloudVersion.objects.filter(state=VersionState.ACTIVE, expires_at__gte=start, expires_at__lt=end)
    secrets = CloudCredential.objects.filter(sign_in_expires_on__gte=first, sign_in_expires_on__lte=last)
    found = {first + timedelta(days=number): Day(first + timedelta(days=number)) for number in range(days)}
    rows = _counted(groups, _ROTATION, TruncDate("next_due_at", tzinfo=UTC), F("vault_id")).union(
        _counted(versions, _VERSION, TruncDate("expires_at", tzinfo=UTC)),
        _counted(secrets, _SECRET, F("sign_in_expires_on")),
        all=True,
    )
    for row in rows:
        day = found[row["day"]]
        if row["what"] == _ROTATION:
            day.by_vault[row["of_vault"]] += row["count"]
        elif row["what"] == _VERSION:
            day.versions += row["count"]
        else:
            day.secrets += row["count"]
    return list(found.values())


def start_of(day: date) -> datetime:
    """Return the first moment of a day in UTC."""
    return datetime.combine(day, time(), UTC)


def _counted(rows: QuerySet[Any], what: str, day: Any, vault: Any = None) -> QuerySet[Any, Any]:
    of_vault = vault or Value(_NO_VAULT, UUIDField())
    found: Any = rows.order_by().values(day=day, what=Value(what, CharField()), of_vault=of_vault)
    counted: QuerySet[Any, Any] = found.annotate(count=Count("pk"))
    return counted
