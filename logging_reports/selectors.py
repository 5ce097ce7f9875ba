"""Reads of the log: filtered rows, pages by keyset, capped counts, neighbours. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q

from logging_reports.chain import GENESIS, has_valid_hash
from logging_reports.choices import Service
from logging_reports.models import LogEntry, LogEntryQuerySet, SavedFilter
from logging_reports.search import SEARCHED_TEXT

COUNT_CAP = 10_000
# A text is looked for in each row, so counting what it matches costs more.
TEXT_COUNT_CAP = 1_000
BATCH_SIZE = 2_000

# Rows are written in order of time, save that the clocks of several hosts differ; by less than this.
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
    """Which rows of one log are wanted; empty means any, several mean all of them.

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
        """Return the filter that ``describe`` put into words."""
        moments = {name: datetime.fromisoformat(plain[name]) for name in ("since", "until") if plain.get(name)}
        return cls(**{**plain, **moments})

    def describe(self) -> dict[str, str]:
        """Return the filters in use as plain text, for the row that records an export."""
        chosen = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {
            name: value.isoformat() if hasattr(value, "isoformat") else str(value) for name, value in chosen if value
        }


@dataclass(frozen=True)
class LogPage:
    """Rows newest first; ``newer`` and ``older`` are the sequences to page on from, or None."""

    rows: list[LogEntry]
    newer: int | None
    older: int | None


def list_entries(wanted: LogFilter) -> LogEntryQuerySet:
    """Return the rows the filter asks for, unordered."""
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
        rows = rows.filter(job_id=job_id) if job_id else rows.filter(job_code=wanted.job.upper())
    if wanted.text:
        rows = rows.alias(searched=SEARCHED_TEXT).filter(searched__icontains=wanted.text)
    return _within(rows, wanted)


def _within(rows: LogEntryQuerySet, wanted: LogFilter) -> LogEntryQuerySet:
    """Say by sequence as well where the wanted time lies: pages are ordered by it, and deep ones found by it.

    After a row written at T no clock shows less than T - CLOCKS_DIFFER; hence the edges.
    """
    if wanted.since:
        outside = _edge(wanted.service, Q(at__lte=wanted.since - CLOCKS_DIFFER), "-at", "-sequence")
        rows = rows if outside is None else rows.filter(sequence__gt=outside)
    if wanted.until:
        outside = _edge(wanted.service, Q(at__gte=wanted.until + CLOCKS_DIFFER), "at", "sequence")
        rows = rows if outside is None else rows.filter(sequence__lt=outside)
    return rows


def find_sequence_at(service: str, moment: datetime) -> int | None:
    """Return the sequence of the last row before ``moment``, None when the log begins later."""
    return _edge(service, Q(at__lt=moment), "-at", "-sequence")


def _edge(service: str, where: Q, *order: str) -> int | None:
    rows = LogEntry.objects.filter(where, service=service).order_by(*order)
    return rows.values_list("sequence", flat=True).first()


def find_page(rows: LogEntryQuerySet, *, before: int | None = None, after: int | None = None, size: int) -> LogPage:
    """Return one page, newest first: the newest rows, those older than ``before`` or newer than ``after``.

    Keyset paging: a page costs the same however deep it lies, and rows that arrive meanwhile
    shift nothing.
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
    """Return up to how many rows are counted for a filter."""
    return TEXT_COUNT_CAP if wanted.text else COUNT_CAP


def count_capped(rows: LogEntryQuerySet, *, cap: int) -> int:
    """Count the rows, but no further than ``cap`` + 1: more than that reads as "more than 10000"."""
    return rows.order_by()[: cap + 1].count()


def iterate_newest_first(rows: LogEntryQuerySet, *, up_to: int) -> Iterator[LogEntry]:
    """Yield the rows from sequence ``up_to`` down, in keyset batches.

    Batches, because one long read would hold back PostgreSQL's vacuum and SQLite's writers.
    """
    before = up_to + 1
    while batch := list(rows.filter(sequence__lt=before).order_by("-sequence")[:BATCH_SIZE]):
        yield from batch
        before = batch[-1].sequence


def newest_sequence(service: str) -> int:
    """Return the sequence of the newest row of a log, 0 when it is empty."""
    newest = LogEntry.objects.filter(service=service).order_by("-sequence").values_list("sequence", flat=True).first()
    return newest or 0


def count_newer(rows: LogEntryQuerySet, than: int) -> int:
    """Count the rows newer than a sequence, no further than ``NEW_ROWS_CAP`` + 1."""
    return rows.filter(sequence__gt=than).order_by()[: NEW_ROWS_CAP + 1].count()


@dataclass(frozen=True)
class Neighbourhood:
    """A row, the rows around it under the filter, and whether it and its links are as they were written."""

    entry: LogEntry
    newer: int | None
    older: int | None
    is_intact: bool


def find_neighbourhood(wanted: LogFilter, sequence: int) -> Neighbourhood:
    """Return a row with its neighbours under the filter, and check its links in the chain.

    Raises:
        LogEntry.DoesNotExist: there is no such row.

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
    return Neighbourhood(entry, newer, older, is_intact)


def has_row(service: str, sequence: int, digest: str) -> bool:
    """Return whether a log has this row with this hash; the place before its first row counts as there."""
    return sequence == 0 or LogEntry.objects.filter(service=service, sequence=sequence, hash=digest).exists()


def list_saved_filters(user_id: int) -> list[SavedFilter]:
    """Return the filters a user may choose from: their own, and those shared with everybody."""
    return list(SavedFilter.objects.filter(Q(owner_id=user_id) | Q(is_shared=True)).order_by("name", "owner_name"))


def _named(name: str, value: str) -> Q:
    """Match a group or key by its id where the value is one (indexed), else by its name."""
    known = _uuid(value)
    return Q(**{f"{name}_id": str(known)}) if known else Q(**{f"{name}__iexact": value})


def _uuid(value: str) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:
        return None
