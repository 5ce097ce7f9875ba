"""Files below the state directory: atomic, readable by the owner only.

Owns how bytes reach the disk. A rename makes each write all-or-nothing; there is no
fsync, because losing the last moments of a stand-in in a power cut is acceptable and
speed is not. Must not know what the bytes mean.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class BrokenState(Exception):
    """A state file can't be read; the text names it."""


def private_directory(path: Path) -> Path:
    """A directory only the owner can enter."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def write_bytes(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file in one step."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    Path(temporary).replace(path)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file in one step."""
    write_bytes(path, json.dumps(value, separators=(",", ":")).encode())


def read_json(path: Path) -> Any:
    """Read a JSON file, or say which one is broken."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise BrokenState(f"The state file {path} is not readable JSON; remove it or restore it.") from error
