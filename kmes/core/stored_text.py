"""Text that any database can keep: PostgreSQL refuses NUL and lone surrogates. Imports nothing."""

from __future__ import annotations

import re

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(text: str) -> str:
    """Return the text with a mark for each character that no column can keep."""
    return _UNSTORABLE.sub(REPLACEMENT, text)
