"""Verifies the log: rows, links, heads, checkpoints and triggers. Reads only.

The database alone can't reveal rows removed from the end together with their checkpoints and heads.
An anchor does: a checkpoint that was kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection

from logging_reports import triggers
from logging_reports.anchors import NO_CHECKPOINT, AnchorError, Position, Statement
from logging_reports.chain import GENESIS, Break, find_break
from logging_reports.choices import Service
from logging_reports.models import LogCheckpoint, LogEntry, LogHead
from logging_reports.selectors import BATCH_SIZE

# The clocks of hosts may differ by this. A row that is later than its checkpoint by more is a fault.
CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True)
class WalkResult:
    """The last valid row of a walk, its hash, and the break that ended the walk."""

    sequence: int
    hash: str
    first_break: Break | None


@dataclass(frozen=True)
class Verdict:
    """The result of verifying one log."""

    service: str
    rows: int
    head_hash: str
    first_break: Break | None

    @property
    def is_intact(self) -> bool:
        """Whether every row and link is valid."""
        return self.first_break is None


@dataclass(frozen=True)
class CheckpointVerdict:
    """The result of verifying the checkpoints: their number, the signing keys, and the faults."""

    count: int
    newest: int
    keys: tuple[str, ...]
    faults: tuple[str, ...]


def walk(service: Service, *, after: int = 0, previous_hash: str = GENESIS, limit: int | None = None) -> WalkResult:
    """Verify at most ``limit`` rows of a log after ``after``, until the last row or the first break."""
    sequence, last_hash = after, previous_hash
    while limit is None or sequence - after < limit:
        size = BATCH_SIZE if limit is None else min(BATCH_SIZE, limit - (sequence - after))
        batch = list(LogEntry.objects.filter(service=service, sequence__gt=sequence).order_by("sequence")[:size])
        if not batch:
            break
        held, found = find_break(batch, after=sequence, previous_hash=last_hash)
        sequence += held
        last_hash = batch[held - 1].hash if held else last_hash
        if found:
            return WalkResult(sequence, last_hash, found)
    return WalkResult(sequence, last_hash, None)


def verify_service(service: Service) -> Verdict:
    """Verify a log from its first row to its head.

    Rows appended meanwhile are verified as well: the head is read after the last row, and a row and
    its head are committed together.
    """
    sequence, last_hash = 0, GENESIS
    while True:
        reached = walk(service, after=sequence, previous_hash=last_hash)
        sequence, last_hash = reached.sequence, reached.hash
        if reached.first_break:
            return Verdict(service.value, sequence, last_hash, reached.first_break)
        head = _read_head(service)
        if head[0] > sequence and LogEntry.objects.filter(service=service, sequence__gt=sequence).exists():
            continue
        _count, found = find_break([], after=sequence, previous_hash=last_hash, head=head)
        return Verdict(service.value, sequence, last_hash, found)


def verify_checkpoints(*, anchor: Statement | None = None, trusted_key: str = "") -> CheckpointVerdict:
    """Verify every checkpoint: signature, link to the one before, and the rows that it names.

    An ``anchor`` also reveals rows removed from the end. Its hash pins the checkpoints up to its own;
    later ones must be signed by its key or by ``trusted_key``.
    """
    faults: list[str] = []
    statements: list[Statement] = []
    keys: dict[str, None] = {}
    trusted = {key for key in (trusted_key, anchor.key if anchor else "") if key}
    previous, expected, last_at = NO_CHECKPOINT, 1, None
    for row in LogCheckpoint.objects.order_by("number").iterator(chunk_size=BATCH_SIZE):
        try:
            statement = row.anchor.verify()
        except AnchorError as error:
            faults.append(f"checkpoint {row.number}: {error}")
            expected, previous = row.number + 1, row.hash
            continue
        said = (statement.number, statement.at, statement.hash)
        if said != (row.number, row.at, row.hash) or statement.number != expected:
            faults.append(f"checkpoint {expected} is missing or was exchanged")
        elif statement.previous_hash != previous:
            faults.append(f"checkpoint {row.number} does not link to the one before it")
        if last_at and statement.at < last_at:
            faults.append(f"checkpoint {row.number} is older than the one before it")
        is_pinned = anchor is not None and statement.number <= anchor.number
        if trusted and statement.key not in trusted and not is_pinned:
            faults.append(f"checkpoint {row.number} is signed by the key {statement.key}, which is not trusted")
        keys[statement.key] = None
        statements.append(statement)
        expected, previous, last_at = row.number + 1, row.hash, statement.at
    if anchor:
        faults += _check_anchor(anchor, statements)
    faults += _check_positions(statements if anchor is None else [*statements, anchor])
    return CheckpointVerdict(len(statements), expected - 1, tuple(keys), tuple(dict.fromkeys(faults)))


def _check_anchor(anchor: Statement, statements: list[Statement]) -> list[str]:
    """Return how the database contradicts a checkpoint that was kept elsewhere."""
    same = next((each for each in statements if each.number == anchor.number), None)
    if same is None:
        return [f"the database was rolled back behind the anchor: its checkpoint {anchor.number} is gone"]
    if same.hash != anchor.hash:
        return [f"checkpoint {anchor.number} is not the one that was kept as anchor"]
    return []


def _check_positions(statements: list[Statement]) -> list[str]:
    """Compare the rows that checkpoints name with the rows in the database."""
    faults: list[str] = []
    for service in Service.values:
        named = [(each, position) for each in statements for position in each.positions if position.service == service]
        for start in range(0, len(named), BATCH_SIZE):
            part = named[start : start + BATCH_SIZE]
            rows = _rows_at(service, (position.sequence for _statement, position in part))
            faults += [fault for statement, position in part if (fault := _compare(statement, position, rows))]
    return faults


def _rows_at(service: str, sequences: Iterable[int]) -> dict[int, LogEntry]:
    rows = LogEntry.objects.filter(service=service, sequence__in=set(sequences))
    return {row.sequence: row for row in rows.only("sequence", "hash", "at")}


def _compare(statement: Statement, position: Position, rows: dict[int, LogEntry]) -> str:
    if position.sequence == 0:
        return "" if position.hash == GENESIS else f"checkpoint {statement.number} names no row by a hash"
    row, place = rows.get(position.sequence), f"{position.service} row {position.sequence}"
    if row is None:
        return f"{place} is gone, which checkpoint {statement.number} names"
    if row.hash != position.hash:
        return f"{place} is not the one that checkpoint {statement.number} names"
    if row.at > statement.at + CLOCK_TOLERANCE:
        return f"{place} is later than checkpoint {statement.number}, which names it"
    return ""


def find_missing_triggers() -> list[str]:
    """Return the names of the triggers that are missing."""
    return triggers.find_missing(connection)


def _read_head(service: Service) -> tuple[int, str]:
    head = LogHead.objects.filter(service=service).first()
    return (head.sequence, head.hash) if head else (0, GENESIS)
