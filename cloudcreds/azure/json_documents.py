"""Reads the JSON of an answer as the SDK does, and nothing that the SDK or another reader would take for something else."""

from __future__ import annotations

import json
import re
from typing import Any

_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s\";,]*)")
# Between systems JSON is UTF-8 (RFC 8259, 8.1). If another encoding is named, the SDK misreads the text or fails.
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", ""})


def read_object(body: bytes, parameters: str = "") -> dict[str, Any] | None:
    """Return the object in a body; None when there is none. ``parameters`` are those of its content type, in lower case."""
    charset = _CHARSET.search(parameters)
    if charset is not None and charset[1] not in _CHARSETS:
        return None
    try:
        # No numbers that JSON does not know.
        found = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant, object_pairs_hook=_members_once)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _refuse_constant(text: str) -> None:
    raise ValueError(text)


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's members; of two with one name, each reader may take the other (RFC 8259, 4)."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member stands twice")
    return members
