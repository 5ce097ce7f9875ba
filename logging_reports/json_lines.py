"""A log row as one line of JSON with every hashed field, so that it can be verified elsewhere.

Needs no Django and no database, like ``chain`` and ``anchors``.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from logging_reports.chain import CURRENT_FORMAT, FIELDS, canonical_json

LINE_FIELDS = ("chain_format", *FIELDS, "previous_hash", "hash")
# Format 1 named this field after the only provider then. Its lines and CSV columns keep that name.
_FORMER_NAMES = {"provider_request_id": "azure_request_id"}
# Names in a line and their fields, by the row's format. Lines of format 1 don't state their format.
LAYOUTS: dict[int, dict[str, str]] = {
    1: {_FORMER_NAMES.get(name, name): name for name in LINE_FIELDS if name != "chain_format"},
    2: {name: name for name in LINE_FIELDS},
}
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_NUMBERS = frozenset({"chain_format", "sequence", "actor_user_id", "http_status", "duration_ms"})


class LineError(ValueError):
    """The line is not an exported row."""


def to_line(entry: Any) -> str:
    """Return the row as one line: its format, every hashed field, the previous hash and the hash."""
    return canonical_json(to_values(entry)) + "\n"


def to_values(entry: Any) -> dict[str, Any]:
    """Return what the row's line holds, by name."""
    layout = LAYOUTS.get(entry.chain_format, LAYOUTS[CURRENT_FORMAT])
    return {name: _plain(getattr(entry, field)) for name, field in layout.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime(_TIME)
    return value if value is None or isinstance(value, bool | int | str | dict | list) else str(value)


def from_line(line: str) -> SimpleNamespace:
    """Return the row of a line, with the types that ``chain.hash_entry`` expects.

    Raises:
        LineError: the line is not an exported row.

    """
    try:
        values = json.loads(line, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise LineError("not JSON") from error
    layout = LAYOUTS.get(_format_of(values))
    if layout is None or set(values) != set(layout):
        raise LineError("not the fields of a log row")
    row = {"chain_format": 1, **{field: values[name] for name, field in layout.items()}}
    for name, value in row.items():
        if not _fits(name, value):
            raise LineError(f"{name} is not what it should be")
    try:
        at = datetime.strptime(row["at"], _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise LineError("at is not a time") from error
    return SimpleNamespace(**{**row, "at": at})


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; refuse a name that stands twice, because readers differ in which one counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _format_of(values: Any) -> int:
    """Return the format of a line, 0 when it is not a number."""
    number = values.get("chain_format", 1) if isinstance(values, dict) else 0
    return number if isinstance(number, int) else 0


def _fits(name: str, value: Any) -> bool:
    if name == "data":
        return isinstance(value, dict)
    if name == "truncated":
        return isinstance(value, bool)
    if name in _NUMBERS:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return is_number or (value is None and name not in {"chain_format", "sequence"})
    if name == "service":
        # Verifiers print it.
        return isinstance(value, str) and re.fullmatch(r"[a-z]{1,16}", value) is not None
    return isinstance(value, str) or (value is None and name == "job_id")
