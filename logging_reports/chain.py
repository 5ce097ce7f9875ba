"""The hash chain: the exact bytes of a row, its SHA-256, and the walk that verifies them.

Reads rows, writes nothing. Each row names its format (``chain_format``). A format must never change
once rows carry it: they would no longer verify. docs/log.md describes the formats.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logging_reports.models import LogEntry

# What a row's hash begins with, by the row's format. Format 1 called ``provider_request_id`` otherwise.
FORMATS: dict[int, bytes] = {1: b"kmeslog1", 2: b"kmeslog2"}
CURRENT_FORMAT = 2
GENESIS = "0" * 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Order is part of the format. ``previous_hash`` comes last, raw; ``hash`` is the result.
FIELDS: tuple[str, ...] = (
    "service",
    "sequence",
    "at",
    "category",
    "severity",
    "event",
    "actor_name",
    "actor_trigger",
    "actor_user_id",
    "credential_id",
    "credential",
    "vault",
    "group_id",
    "group",
    "key_id",
    "key",
    "version",
    "job_id",
    "job_code",
    "provider_request_id",
    "http_status",
    "duration_ms",
    "message",
    "data",
    "truncated",
)


@dataclass(frozen=True)
class Break:
    """The first place where a chain doesn't hold, and why."""

    sequence: int
    reason: str


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys, no spaces and real Unicode, as RFC 8785 has it for our values.

    Rows hold no floats (``services`` turns them into text), so number formats can't differ.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_entry(entry: LogEntry) -> str:
    """Return the SHA-256 (hex) that the row must carry, from its fields and ``previous_hash``.

    Each field goes in with its length before it (8 bytes, big-endian), so that no two rows
    share their bytes by moving text from one field to the next.

    Raises:
        TypeError: a field holds a type that no row holds.
        ValueError: the format is unknown, or ``previous_hash`` is not hexadecimal.

    """
    if entry.chain_format not in FORMATS:
        message = f"there is no chain format {entry.chain_format!r}"
        raise ValueError(message)
    digest = hashlib.sha256(FORMATS[entry.chain_format])
    for name in FIELDS:
        content = _encode(getattr(entry, name))
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    digest.update(bytes.fromhex(entry.previous_hash))
    return digest.hexdigest()


def has_valid_hash(entry: LogEntry) -> bool:
    """Return whether the row carries the hash of its fields; a row that can't be hashed doesn't."""
    try:
        return hash_entry(entry) == entry.hash
    except (TypeError, ValueError):
        return False


def _encode(value: Any) -> bytes:
    """Return the bytes of one field; None is empty, which no number or UUID ever is."""
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"1" if value else b"0"
    if isinstance(value, datetime):
        return str((value - _EPOCH) // timedelta(microseconds=1)).encode()
    if isinstance(value, dict | list):
        return canonical_json(value).encode()
    if isinstance(value, int | str | UUID):
        # "surrogatepass": a row tampered into odd text must give a wrong hash, not a crash.
        return str(value).encode("utf-8", "surrogatepass")
    message = f"a log row can't hold a {type(value).__name__}"
    raise TypeError(message)


def find_break(
    entries: Iterable[LogEntry], *, after: int = 0, previous_hash: str = GENESIS, head: tuple[int, str] | None = None
) -> tuple[int, Break | None]:
    """Walk rows in ascending sequence; return how many held and the first break, if any.

    ``after`` and ``previous_hash`` say where the walk starts; ``head`` (sequence, hash) where
    it must end.
    """
    count, expected = 0, after + 1
    for entry in entries:
        found = _check(entry, expected, previous_hash)
        if found is not None:
            return count, found
        previous_hash, expected, count = entry.hash, expected + 1, count + 1
    if head is not None and head != (expected - 1, previous_hash):
        return count, _check_head(head, expected - 1)
    return count, None


def _check(entry: LogEntry, expected: int, previous_hash: str) -> Break | None:
    if entry.sequence != expected:
        return Break(expected, f"gap: row {expected} is missing, row {entry.sequence} follows")
    if entry.previous_hash != previous_hash:
        return Break(expected, f"row {expected} does not link to the row before it")
    return None if has_valid_hash(entry) else Break(expected, f"row {expected} was altered")


def _check_head(head: tuple[int, str], last: int) -> Break:
    if head[0] > last:
        return Break(last + 1, f"rows {last + 1} to {head[0]} at the end are missing")
    if head[0] < last:
        return Break(head[0] + 1, f"row {head[0] + 1} lies beyond the recorded end of the log")
    return Break(last, f"row {last} is not the recorded end of the log")
