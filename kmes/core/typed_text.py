"""What people type, before a field's own rules: trimmed, normalized, searched for what can't be read."""

from __future__ import annotations

import re
import unicodedata

# Control, format, surrogate, private use, unassigned, pictures, line and paragraph separators:
# none can be told apart reliably in a list or a log line.
UNREADABLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "So", "Zl", "Zp"})

# Scripts that share letters which look alike, as Unicode's names of characters begin.
_ALIKE_SCRIPTS = frozenset({"LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"})


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


def fold(text: str) -> str:
    """Return what is the same for names that differ in case or width only.

    By capitals, because the dotless i has the same one as the i, and databases compare some texts by them.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).upper().casefold())


def find_mixed_word(text: str) -> str:
    """Return the first word whose letters are of several scripts that look alike, "" when there is none.

    Such a word imitates another one (Unicode Technical Standard 39, section 5.2). One that is of a single script can too.
    """
    for word in re.findall(r"[^\W\d_]+", unicodedata.normalize("NFKC", text)):
        scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in word}
        if len(scripts & _ALIKE_SCRIPTS) > 1:
            return str(word)
    return ""
