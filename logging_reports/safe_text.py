"""Makes stored text safe to show in pages, in CSV files and on a terminal."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Sequence

# C0 and C1 controls, line and paragraph separators, bidi marks, embeddings, isolates, and the
# invisible zero-width characters. All can forge or hide what a reader sees (ASVS 5.0, 16.4.1).
_HIDDEN_CHARACTERS = r"\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
_HIDDEN = re.compile(f"[{_HIDDEN_CHARACTERS}]")
# What starts a formula in a spreadsheet (ASVS 5.0, 1.2.10; OWASP CSV injection), with the
# full-width forms that some programs fold to ASCII.
_FORMULA = tuple("=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20")
# With what a cell begins that ``csv_cell`` may guard: a formula, or a blank that some programs ignore before one.
# A class of regular expressions, the same for Python and for PostgreSQL.
FORMULA_BEGINNINGS = r"-=+@\uff1d\uff0b\uff0d\uff20 \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
# Between the cells of a row that are searched at one go. In a cell it does no harm: that row is looked at cell by cell.
_BETWEEN = "\u00a6"
_SUSPECT = re.compile(f"[{_HIDDEN_CHARACTERS}]|(?:^|{_BETWEEN})[{FORMULA_BEGINNINGS}]")


def visible(text: str) -> str:
    r"""Return the text with control and direction characters written as ``\uXXXX``."""
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def csv_cell(text: str) -> str:
    """Return a text cell that no spreadsheet takes for a formula.

    The guard is an apostrophe; a TAB instead was itself an attack (CVE-2021-41270). Leading blanks are
    ignored by some programs, so a formula may follow them.
    """
    if text.isalnum():
        return text  # Most cells. isalnum() is False for an empty text and for every character guarded against.
    shown = visible(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def may_need_guard(texts: Iterable[str]) -> bool:
    """Return whether ``csv_cell`` could change one of the texts: one search for a whole row."""
    return _SUSPECT.search(_BETWEEN.join(texts)) is not None


def csv_header(columns: Sequence[str], *, for_excel: bool) -> bytes:
    """Return the first line of a CSV file, after a byte order mark for Excel, which else takes the text for an old code page."""
    return (codecs.BOM_UTF8 if for_excel else b"") + csv_lines([columns])


def csv_lines(rows: Iterable[Sequence[str]]) -> bytes:
    """Return the rows as lines of a CSV file (RFC 4180, UTF-8). Pass text through ``csv_cell`` first."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    # The log stores no lone surrogate, but a tampered row must not stop an export.
    return buffer.getvalue().encode("utf-8", "backslashreplace")
