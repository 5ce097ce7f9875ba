"""Changes that the control API asks for, checked against the record they are meant for.

Owns the check of names and types. Must not apply a change.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

SIGNED = {"clock_skew_seconds", "date_skew_seconds"}


class BadChange(Exception):
    """The change is not possible; the text says why."""


def checked_changes(body: Any, kind: type, fixed: set[str]) -> dict[str, Any]:
    """The members of a JSON object that are fields of ``kind``, with their types checked."""
    if not isinstance(body, dict):
        raise BadChange("A JSON object is needed.")
    known = {field.name: str(field.type) for field in fields(kind)}
    changes: dict[str, Any] = {}
    for name, value in body.items():
        if name not in known or name in fixed:
            raise BadChange(f"'{name}' can't be changed here.")
        if value is None and "None" not in known[name]:
            raise BadChange(f"'{name}' needs a value.")
        changes[name] = converted(name, value, known[name])
    return changes


def converted(name: str, value: Any, kind: str) -> Any:
    """One member in the type of its field."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is None:
        return None
    if kind.startswith("bool") and isinstance(value, bool):
        return value
    if kind.startswith("int") and is_number and value >= 0:
        return int(value)
    if kind.startswith("float") and is_number and (value >= 0 or name in SIGNED):
        return float(value)
    if kind.startswith("str") and isinstance(value, str):
        return value
    if kind.startswith("list[str]") and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return list(value)
    if kind.startswith("list[dict") and isinstance(value, list) and all(isinstance(each, dict) for each in value):
        return list(value)
    raise BadChange(f"'{name}' has the wrong type.")
