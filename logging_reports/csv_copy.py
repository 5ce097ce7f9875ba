"""Log rows as CSV lines, written by PostgreSQL itself (COPY): several times faster than row by row in Python.

The bytes are those of ``csv_rows``: a row with a cell that could need a guard against formulas or hides characters
is read again, and Python writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from django.db import connection

from logging_reports.csv_rows import COLUMNS, FIELDS, render
from logging_reports.models import LogEntryQuerySet
from logging_reports.safe_text import FORMULA_BEGINNINGS

# One COPY holds a snapshot for this many rows only: a long one would block PostgreSQL's vacuum.
ROWS_PER_COPY = 20_000
ROWS_PER_PART = 1_000
# Begins the line of a row that Python has to write. A hidden character, so that one search finds all such lines.
_MARKED = b"\x01"
# Bytes that begin no hidden character in UTF-8. Others may, so that a line with one is left to Python.
_HARMLESS = bytes(set(range(256)) - {*range(0x0A), *range(0x0B, 0x20), 0x7F, 0xC2, 0xD8, 0xE2, 0xEF})
# U+200B to U+200F, U+2028 to U+202E, U+2060 to U+2069: typographic quotes begin with the same byte.
_HIDDEN_PUNCTUATION = re.compile(rb"\xe2(?:\x80[\x8b-\x8f\xa8-\xae]|\x81[\xa0-\xa9])")
_NO_TEXTS = {"sequence", "at", "actor_user_id", "job_id", "http_status", "duration_ms", "data", "truncated"}
_TEXTS = tuple(name for name in COLUMNS if name not in _NO_TEXTS)
# The code points with which a cell begins that may need a guard, as an array of PostgreSQL. Its ``ascii`` gives the code
# point of a text's first character, and takes half as long as a regular expression on the first characters of a row.
_BEGINNINGS = re.findall(f"[{FORMULA_BEGINNINGS}]", "".join(map(chr, range(0x10000))))
_FIRST_CODES = f"{{{','.join(str(ord(begin)) for begin in _BEGINNINGS)}}}"
# Canonical JSON (``chain.canonical_json``) of an object without inner objects and lists. Others are left to Python, and
# so are fractions, which the two write differently; rows of this console hold none.
_DATA = """LATERAL (
  SELECT '{' || coalesce(string_agg(to_json(e.key)::text || ':' || e.value::text, ',' ORDER BY e.key COLLATE "C"), '') || '}'
           AS canonical,
         coalesce(bool_or(jsonb_typeof(e.value) IN ('object', 'array')
           OR (jsonb_typeof(e.value) = 'number' AND e.value::text LIKE '%%.%%')), false) AS is_deep
  FROM jsonb_each(CASE WHEN jsonb_typeof(r.data) = 'object' THEN r.data ELSE '{}' END) AS e
) AS d"""


@dataclass(frozen=True)
class _Part:
    """Some lines of a COPY: as a part of the file, or by themselves where Python has to write one of them."""

    content: bytes
    lines: list[bytes]
    count: int
    last: int


def copy_lines(rows: LogEntryQuerySet, *, up_to: int) -> Iterator[tuple[bytes, int]]:
    """Yield the rows of one log from sequence ``up_to`` down as lines, in parts, each with its number of rows."""
    before = up_to + 1
    while parts := _copy(rows, before):
        for part in parts:
            yield part.content or _write_again(part.lines, rows), part.count
        before = parts[-1].last


def _copy(rows: LogEntryQuerySet, before: int) -> list[_Part]:
    # A part is put together while PostgreSQL writes the next. It is not given away yet: a slow reader would hold the COPY.
    inner, parameters = rows.filter(sequence__lt=before).order_by("-sequence")[:ROWS_PER_COPY].query.sql_with_params()
    with connection.cursor() as cursor, cursor.copy(_statement(inner), parameters) as copied:
        written = map(bytes, copied)
        return [_part(lines) for lines in iter(lambda: list(islice(written, ROWS_PER_PART)), [])]


def _part(lines: list[bytes]) -> _Part:
    content = b"".join(lines)
    count, last = len(lines), _sequence_of(lines[-1])
    if _is_for_python(content, count):
        return _Part(b"", lines, count, last)
    return _Part(_end_lines(content), [], count, last)


def _write_again(lines: list[bytes], rows: LogEntryQuerySet) -> bytes:
    """Return the lines as a part of the file. Those that PostgreSQL can't write are read and written again."""
    others = [_sequence_of(line) for line in lines if _is_for_python(line, 1)]
    written = {row[0]: render([row])[:-2] + b"\n" for row in rows.filter(sequence__in=others).values_list(*FIELDS)}
    return _end_lines(b"".join(written.get(_sequence_of(line), line) for line in lines))


def _end_lines(content: bytes) -> bytes:
    return content.replace(b"\n", b"\r\n")


def _is_for_python(lines: bytes, count: int) -> bool:
    """Return whether a line is marked, or may hide a character: a line feed too that does not end a line."""
    rest = lines.translate(None, _HARMLESS)
    if rest.strip(b"\xe2") or lines.count(b"\n") != count:
        return True
    return bool(rest and _HIDDEN_PUNCTUATION.search(lines))


def _sequence_of(line: bytes) -> int:
    return int(line.removeprefix(_MARKED).partition(b",")[0])


def _statement(inner: str) -> str:
    """Return the COPY of a query of whole rows."""
    begins = " OR ".join(f"ascii(r.{connection.ops.quote_name(name)}) = ANY ('{_FIRST_CODES}')" for name in _TEXTS)
    is_marked = f"d.is_deep OR jsonb_typeof(r.data) <> 'object' OR {begins}"
    first, *others = map(_value, COLUMNS)
    columns = ", ".join([rf"CASE WHEN {is_marked} THEN E'\x01' ELSE '' END || {first}", *others])
    # Only constants of this file and a query that Django made.
    return f"COPY (SELECT {columns} FROM ({inner}) AS r, {_DATA}) TO STDOUT (FORMAT csv, NULL '')"  # noqa: S608


def _value(name: str) -> str:
    column = f"r.{connection.ops.quote_name(name)}"
    if name == "at":
        return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    if name == "data":
        return "d.canonical"
    if name == "truncated":
        return f"{column}::text"
    # COPY puts quotes around an empty text, to tell it from NULL.
    return f"NULLIF({column}, '')" if name in _TEXTS else column
