"""Queries of the log: filtered rows, keyset pages, limited counts, neighboring rows. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Q, QuerySet

from kmes.core.ids import job_code, job_label
from logging_reports.chain import GENESIS, has_valid_hash
from logging_reports.choices import Service
from logging_reports.models import LogEntry, LogEntryQuerySet, SavedFilter
from logging_reports.search import SEARCHED_TEXT

T = TypeVar("T")
COUNT_CAP = 10_000
# A text filter reads each row, so its count costs more.
TEXT_COUNT_CAP = 1_000
BATCH_SIZE = 2_000

# Rows are in order of time, except that the clocks of hosts may differ by up to this.
CLOCKS_DIFFER = timedelta(hours=1)
NEW_ROWS_CAP = 100

_PLAIN_LOOKUPS = {
    "category": "category",
    "severity": "severity",
    "since": "at__gte",
    "until": "at__lt",
    "actor": "actor_name__iexact",
}


@dataclass(frozen=True)
class LogFilter:
    """Which rows of one log to show. An empty field means any; several fields must all match.

    ``since`` is inclusive, ``until`` exclusive. ``group`` and ``key`` are a UUID or a name,
    ``job`` a UUID or a code.
    """

    service: str = Service.AZURE
    category: str = ""
    severity: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    group: str = ""
    job: str = ""
    key: str = ""
    actor: str = ""

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> LogFilter:
        """Return the filter that ``describe`` described."""
        moments = {name: datetime.fromisoformat(plain[name]) for name in ("since", "until") if plain.get(name)}
        return cls(**{**plain, **moments})

    def describe(self) -> dict[str, str]:
        """Return the fields in use as plain text, for the log row of an export."""
        chosen = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {
            name: value.isoformat() if hasattr(value, "isoformat") else str(value) for name, value in chosen if value
        }


@dataclass(frozen=True)
class LogPage:
    """Rows, newest first. ``newer`` and ``older`` are where the next pages start, or None."""

    rows: list[LogEntry]
    newer: int | None
    older: int | None


def list_entries(wanted: LogFilter) -> LogEntryQuerySet:
    """Return the rows that match the filter, unordered."""
    rows = LogEntry.objects.filter(service=wanted.service)
    for name, lookup in _PLAIN_LOOKUPS.items():
        if value := getattr(wanted, name):
            rows = rows.filter(**{lookup: value})
    if wanted.group:
        rows = rows.filter(_named("group", wanted.group))
    if wanted.key:
        rows = rows.filter(_named("key", wanted.key))
    if wanted.job:
        job_id = _uuid(wanted.job)
        rows = rows.filter(job_id=job_id) if job_id else rows.filter(job_code=job_code(wanted.job))
    if wanted.text:
        rows = rows.alias(searched=SEARCHED_TEXT).filter(searched__icontains=wanted.text)
    return _limit_sequence(rows, wanted)


def find_label(name: str, value: str, *, service: str) -> str:
    """Return what the newest row calls the group, key or job with this UUID; "" for other texts and unknown ones.

    A job may be named by its code as well. The log ``service`` is asked first. One query for each log, because their
    indexes begin with the log.
    """
    wanted, column = _uuid(value), {"group": "group", "key": "key", "job": "job_code"}.get(name)
    if name == "job" and wanted is None:
        return job_label(job_code(value))
    if wanted is None or column is None:
        return ""
    rows = LogEntry.objects.filter(**{f"{name}_id": wanted}).exclude(**{column: ""}).order_by("-sequence")
    logs = dict.fromkeys([service, *Service.values])
    found = (rows.filter(service=log).values_list(column, flat=True).first() for log in logs)
    label = next(filter(None, found), "")
    return job_label(label) if name == "job" else label


def _limit_sequence(rows: LogEntryQuerySet, wanted: LogFilter) -> LogEntryQuerySet:
    """Limit the sequence as well as the time, because pages are ordered by sequence.

    After a row written at T no row has a time before T - CLOCKS_DIFFER.
    """
    if wanted.since:
        outside = _first_sequence(wanted.service, Q(at__lte=wanted.since - CLOCKS_DIFFER), "-at", "-sequence")
        rows = rows if outside is None else rows.filter(sequence__gt=outside)
    if wanted.until:
        outside = _first_sequence(wanted.service, Q(at__gte=wanted.until + CLOCKS_DIFFER), "at", "sequence")
        rows = rows if outside is None else rows.filter(sequence__lt=outside)
    return rows


def find_sequence_at(service: str, moment: datetime) -> int | None:
    """Return the sequence of the last row before ``moment``. None when the log begins later."""
    return _first_sequence(service, Q(at__lt=moment), "-at", "-sequence")


def _first_sequence(service: str, where: Q, *order: str) -> int | None:
    rows = LogEntry.objects.filter(where, service=service).order_by(*order)
    return rows.values_list("sequence", flat=True).first()


def find_page(rows: LogEntryQuerySet, *, before: int | None = None, after: int | None = None, size: int) -> LogPage:
    """Return one page, newest first: the newest rows, those older than ``before``, or those newer than ``after``.

    Keyset paging: every page costs the same, and new rows don't shift a page.
    """
    if after is not None:
        found = list(rows.filter(sequence__gt=after).order_by("sequence")[: size + 1])
        more, found = len(found) > size, found[:size][::-1]
        older = found[-1].sequence if found else after + 1
        return LogPage(found, newer=found[0].sequence if more else None, older=older)
    if before is not None:
        rows = rows.filter(sequence__lt=before)
    found = list(rows.order_by("-sequence")[: size + 1])
    more, found = len(found) > size, found[:size]
    newer = None if before is None else (found[0].sequence if found else before - 1)
    return LogPage(found, newer=newer, older=found[-1].sequence if more else None)


def count_cap(wanted: LogFilter) -> int:
    """Return the limit of the count for a filter."""
    return TEXT_COUNT_CAP if wanted.text else COUNT_CAP


def count_capped(rows: LogEntryQuerySet, *, cap: int) -> int:
    """Count the rows up to ``cap`` + 1; the page then shows "more than"."""
    return rows.order_by()[: cap + 1].count()


def iterate_batches(rows: QuerySet[LogEntry, T], *, up_to: int, position: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield the rows from sequence ``up_to`` down, in keyset batches. ``position`` returns a row's sequence.

    One long read would block PostgreSQL's vacuum and SQLite's writers.
    """
    before = up_to + 1
    while batch := list(rows.filter(sequence__lt=before).order_by("-sequence")[:BATCH_SIZE]):
        yield batch
        before = position(batch[-1])


def newest_sequence(service: str) -> int:
    """Return the sequence of the newest row of a log, 0 when it is empty."""
    newest = LogEntry.objects.filter(service=service).order_by("-sequence").values_list("sequence", flat=True).first()
    return newest or 0


def count_newer(rows: LogEntryQuerySet, than: int) -> int:
    """Count the rows newer than a sequence, up to ``NEW_ROWS_CAP`` + 1."""
    return rows.filter(sequence__gt=than).order_by()[: NEW_ROWS_CAP + 1].count()


@dataclass(frozen=True)
class Neighborhood:
    """A row, its neighbors within the filter, and whether the row and its links are valid."""

    entry: LogEntry
    newer: int | None
    older: int | None
    is_intact: bool


def find_neighborhood(wanted: LogFilter, sequence: int) -> Neighborhood:
    """Return a row with its neighbors within the filter, and check its links in the chain.

    Raises:
        LogEntry.DoesNotExist: the log has no such row.

    """
    near = LogEntry.objects.filter(service=wanted.service, sequence__range=(sequence - 1, sequence + 1))
    around = {entry.sequence: entry for entry in near}
    if sequence not in around:
        raise LogEntry.DoesNotExist
    entry, previous, following = around[sequence], around.get(sequence - 1), around.get(sequence + 1)
    linked_back = entry.previous_hash == (previous.hash if previous else GENESIS) and (previous or sequence == 1)
    linked_on = following is None or following.previous_hash == entry.hash
    is_intact = bool(linked_back and linked_on and has_valid_hash(entry))
    rows = list_entries(wanted)
    newer = rows.filter(sequence__gt=sequence).order_by("sequence").values_list("sequence", flat=True).first()
    older = rows.filter(sequence__lt=sequence).order_by("-sequence").values_list("sequence", flat=True).first()
    return Neighborhood(entry, newer, older, is_intact)


def has_row(service: str, sequence: int, digest: str) -> bool:
    """Return whether a log has this row with this hash. True for sequence 0, the start of the log."""
    return sequence == 0 or LogEntry.objects.filter(service=service, sequence=sequence, hash=digest).exists()


def list_saved_filters(user_id: int) -> list[SavedFilter]:
    """Return the filters that a user may apply: their own and the shared ones."""
    return list(SavedFilter.objects.filter(Q(owner_id=user_id) | Q(is_shared=True)).order_by("name", "owner_name"))


def _named(name: str, value: str) -> Q:
    """Match a group or key by id if the value is a UUID, else by name."""
    known = _uuid(value)
    return Q(**{f"{name}_id": str(known)}) if known else Q(**{f"{name}__iexact": value})


def _uuid(value: str) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:
        return None
