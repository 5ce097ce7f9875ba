"""What people type, before a field's own rules: trimmed, normalized, searched for what can't be read."""

from __future__ import annotations

import unicodedata

# Control, format, surrogate, private use, unassigned, pictures, line and paragraph separators:
# none can be told apart reliably in a list or a log line.
UNREADABLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "So", "Zl", "Zp"})


def trim(text: str) -> str:
    """Return the text without white space and invisible characters at its ends, which pasting leaves there."""

    def is_dirt(character: str) -> bool:
        return character.isspace() or unicodedata.category(character) in {"Cc", "Cf"}

    start, end = 0, len(text)
    while start < end and is_dirt(text[start]):
        start += 1
    while end > start and is_dirt(text[end - 1]):
        end -= 1
    return text[start:end]


def trim_label(text: str) -> str:
    """Return a name or label trimmed, with composed characters (NFC), so that equal texts compare equal."""
    return unicodedata.normalize("NFC", trim(text))


def is_unreadable(character: str) -> bool:
    """Return whether a character can't be read reliably in a list or a log line."""
    return unicodedata.category(character) in UNREADABLE_CATEGORIES


def find_unreadable(text: str) -> str:
    """Return the first character that can't be read, "" when there is none."""
    return next((character for character in text if is_unreadable(character)), "")
