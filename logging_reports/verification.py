"""Verifies the log: rows, links, heads, checkpoints and triggers. Reads only.

The hash chain alone proves nothing to a stranger, because whoever can write to the tables can compute it anew. What
proves it is a checkpoint signed by a key that the verifier knows from elsewhere. The database alone can't reveal rows
removed from the end together with their checkpoints and heads. An anchor does: a checkpoint that was kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection

from kmes.core import clock
from logging_reports import handovers, triggers
from logging_reports.anchors import NO_CHECKPOINT, AnchorError, Position, Statement
from logging_reports.chain import GENESIS, Break, find_break
from logging_reports.choices import Service
from logging_reports.models import LogCheckpoint, LogEntry, LogHead
from logging_reports.selectors import BATCH_SIZE

# The clocks of hosts may differ by this. A row that is later than its checkpoint by more is a fault.
CLOCK_TOLERANCE = timedelta(minutes=5)
# A checkpoint is made at least hourly, so a row that is older than this has one.
COVERED_AFTER = timedelta(minutes=65)


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
    """The result of verifying the checkpoints: their number, the signing keys, the faults, and what is not proven.

    ``uncovered`` is the number of rows after the newest checkpoint.
    """

    count: int
    newest: int
    keys: tuple[str, ...]
    faults: tuple[str, ...]
    unproven: tuple[str, ...]
    uncovered: int


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


def verify_checkpoints(*, trusted: Collection[str], anchor: Statement | None = None) -> CheckpointVerdict:
    """Verify every checkpoint: signature, signer, link to the one before, and the rows that it names.

    ``trusted`` are the fingerprints of the keys that may sign; those to which they handed over may too. Without any,
    nothing is proven. An ``anchor`` also reveals rows removed from the end.
    """
    faults: list[str] = []
    statements: list[Statement] = []
    keys: dict[str, None] = {}
    signers = handovers.extend_trust(trusted, read_handovers())
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
        if signers and statement.key not in signers:
            faults.append(f"checkpoint {row.number} is signed by the key {statement.key}, which is not trusted")
        keys[statement.key] = None
        statements.append(statement)
        expected, previous, last_at = row.number + 1, row.hash, statement.at
    if anchor:
        if signers and anchor.key not in signers:
            faults.append(f"the anchor is signed by the key {anchor.key}, which is not trusted")
        faults += _check_anchor(anchor, statements)
    faults += _check_positions(statements if anchor is None else [*statements, anchor])
    uncovered, unproven = _find_unproven(statements, signers)
    return CheckpointVerdict(
        len(statements), expected - 1, tuple(keys), tuple(dict.fromkeys(faults)), tuple(unproven), uncovered
    )


def read_handovers() -> list[handovers.Handover]:
    """Return the hand-overs of the checkpoint key that rows of the Audit log hold with a valid signature."""
    found = []
    rows = LogEntry.objects.filter(service=Service.AUDIT, event=handovers.EVENT).order_by("sequence")
    for data in rows.values_list("data", flat=True):
        try:
            found.append(handovers.read_handover(data))
        except AnchorError:
            # A row that hands nothing over extends no trust.
            continue
    return found


def _find_unproven(statements: list[Statement], signers: Collection[str]) -> tuple[int, list[str]]:
    """Return how many rows no checkpoint covers yet, and what keeps the log from being proven."""
    covered = {each.service: each.sequence for each in (statements[-1].positions if statements else ())}
    uncovered, late = 0, False
    for service in Service.values:
        rows = LogEntry.objects.filter(service=service, sequence__gt=covered.get(service, 0))
        uncovered += rows.count()
        first = rows.order_by("sequence").values_list("at", flat=True).first()
        late = late or (first is not None and clock.now() - first > COVERED_AFTER)
    unproven = []
    if not signers and (statements or uncovered):
        unproven.append("no checkpoint key is pinned or given, so nobody is known to have signed this log")
    if late:
        unproven.append(f"{uncovered} rows at the end are covered by no checkpoint, although the first of them is old")
    elif uncovered and not statements:
        unproven.append("there is no checkpoint yet")
    return uncovered, unproven


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


def find_trigger_faults() -> list[str]:
    """Return in sentences how the triggers of the log's tables differ from those that were installed."""
    return triggers.find_faults(connection)


def _read_head(service: Service) -> tuple[int, str]:
    head = LogHead.objects.filter(service=service).first()
    return (head.sequence, head.hash) if head else (0, GENESIS)
