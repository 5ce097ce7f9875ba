"""The hash chain: the bytes of a row that are hashed, the hash, and the check of rows in sequence.

Writes nothing. Each row states its format (``chain_format``). A released format must never change,
because rows written in it would no longer verify. docs/log.md describes the formats.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterable

# The first bytes that are hashed, by the row's format.
FORMATS: dict[int, bytes] = {1: b"kmeslog1", 2: b"kmeslog2"}
CURRENT_FORMAT = 2
GENESIS = "0" * 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The order is part of every format. ``previous_hash`` follows as raw bytes; ``hash`` is the result.
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


class ChainedRow(Protocol):
    """A row of the database or of an export; besides these attributes it has ``FIELDS``."""

    chain_format: int
    sequence: int
    previous_hash: str
    hash: str


@dataclass(frozen=True)
class Break:
    """The first row at which a chain does not verify, and why."""

    sequence: int
    reason: str


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys, no spaces and unescaped Unicode. Equal to RFC 8785 for the values of rows.

    Rows hold no floats (``redaction`` turns them into text), so number formats can't differ.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_entry(entry: ChainedRow) -> str:
    """Compute the SHA-256 (hex) of the row's fields and ``previous_hash``.

    The length of each field (8 bytes, big-endian) precedes it. So moving text from one field to the
    next changes the hash.

    Raises:
        TypeError: a field has a type that rows do not hold.
        ValueError: the format is unknown, or ``previous_hash`` is not hexadecimal.

    """
    if entry.chain_format not in FORMATS:
        message = f"unknown chain format {entry.chain_format!r}"
        raise ValueError(message)
    digest = hashlib.sha256(FORMATS[entry.chain_format])
    for name in FIELDS:
        content = _encode(getattr(entry, name))
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    digest.update(bytes.fromhex(entry.previous_hash))
    return digest.hexdigest()


def has_valid_hash(entry: ChainedRow) -> bool:
    """Return whether ``hash`` is the hash of the row's fields. False for a row that can't be hashed."""
    try:
        return hash_entry(entry) == entry.hash
    except (TypeError, ValueError):
        return False


def _encode(value: Any) -> bytes:
    """Return the bytes of one field. None is empty; no number or UUID is."""
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"1" if value else b"0"
    if isinstance(value, datetime):
        return str((value - _EPOCH) // timedelta(microseconds=1)).encode()
    if isinstance(value, dict | list):
        return canonical_json(value).encode()
    if isinstance(value, int | str | UUID):
        # "surrogatepass": tampered text must give a wrong hash, not an error.
        return str(value).encode("utf-8", "surrogatepass")
    message = f"a log row can't hold a {type(value).__name__}"
    raise TypeError(message)


def find_break(
    entries: Iterable[ChainedRow], *, after: int = 0, previous_hash: str = GENESIS, head: tuple[int, str] | None = None
) -> tuple[int, Break | None]:
    """Check rows in ascending sequence. Return how many are valid, and the first break or None.

    ``after`` and ``previous_hash`` describe the row before the first one. ``head`` (sequence, hash) is
    the expected last row.
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


def _check(entry: ChainedRow, expected: int, previous_hash: str) -> Break | None:
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
