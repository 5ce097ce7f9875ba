"""The bytes that are signed: canonical JSON of a purpose, a version and named values.

JSON of these values reads back as the same values, so two different requests never have the same bytes; the purpose
keeps a signature of one kind from being used as another kind's. Imports nothing of the console: offline checks use it.
"""

from __future__ import annotations

import json
from typing import Any

# Of the encoding and of what each purpose covers. Another version is another message.
VERSION = 1


def encode(purpose: str, fields: dict[str, Any]) -> bytes:
    """Return the bytes that are signed: different for different purposes, names or values.

    Values are None, bool, int, str, and lists and dicts of them. No floats: databases write them in their own ways.

    Raises:
        ValueError: a value is of another type, or a text is no Unicode.

    """
    _require_plain(fields)
    text = json.dumps([purpose, VERSION, fields], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _require_plain(value: object) -> None:
    if isinstance(value, dict):
        for name, each in value.items():
            if not isinstance(name, str):
                message = f"{name!r} is no name of a value"
                raise ValueError(message)  # noqa: TRY004 - callers treat whatever can't be signed alike
            _require_plain(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _require_plain(each)
    elif value is not None and not isinstance(value, bool | int | str):
        message = f"a value of type {type(value).__name__} can't be signed"
        raise ValueError(message)
