"""Text that any database can keep: PostgreSQL refuses NUL and lone surrogates. Imports nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(text: str) -> str:
    """Return the text with a mark for each character that no column can keep."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def storable_json(value: Any) -> Any:
    """Return foreign plain data with every text in it storable. JSON knows no infinite numbers: they become texts."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    if isinstance(value, Mapping):
        return {storable(str(name)): storable_json(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(member) for member in value]
    return value
