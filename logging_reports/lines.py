"""A log row as one line of JSON, to the exact field: what an auditor verifies elsewhere.

Needs no Django and no database, like ``chain`` and ``anchors``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from logging_reports.chain import FIELDS, canonical_json

LINE_FIELDS = (*FIELDS, "previous_hash", "hash")
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_NUMBERS = frozenset({"sequence", "actor_user_id", "http_status", "duration_ms"})


class LineError(ValueError):
    """A line that is no exported row."""


def to_line(entry: Any) -> str:
    """Return the row as one line: every hashed field, the previous hash and the hash."""
    return canonical_json({name: _plain(getattr(entry, name)) for name in LINE_FIELDS}) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime(_TIME)
    return value if value is None or isinstance(value, bool | int | str | dict | list) else str(value)


def from_line(line: str) -> SimpleNamespace:
    """Return the row of a line, with the types that ``chain.hash_entry`` expects.

    Raises:
        LineError: it isn't one.

    """
    try:
        values = json.loads(line)
    except ValueError as error:
        raise LineError("not JSON") from error
    if not isinstance(values, dict) or set(values) != set(LINE_FIELDS):
        raise LineError("not the fields of a log row")
    for name, value in values.items():
        if not _fits(name, value):
            raise LineError(f"{name} is not what it should be")
    try:
        at = datetime.strptime(values["at"], _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise LineError("at is not a time") from error
    return SimpleNamespace(**{**values, "at": at})


def _fits(name: str, value: Any) -> bool:
    if name == "data":
        return isinstance(value, dict)
    if name == "truncated":
        return isinstance(value, bool)
    if name in _NUMBERS:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return is_number or (value is None and name != "sequence")
    return isinstance(value, str) or (value is None and name == "job_id")
