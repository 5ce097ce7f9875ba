"""Log rows as lines of a CSV file: columns, cells, guards. ``csv_copy`` writes the same bytes by PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from logging_reports.chain import canonical_json
from logging_reports.json_lines import LAYOUTS
from logging_reports.safe_text import csv_cell, csv_header, csv_lines, may_need_guard

_FIRST = ("sequence", "at")
# Released column names never change: programs of users read them.
_FIELD_OF = LAYOUTS[1]
COLUMNS = (*_FIRST, *(name for name in _FIELD_OF if name not in _FIRST))
# The fields of a row in the order of the columns.
FIELDS = tuple(_FIELD_OF[name] for name in COLUMNS)


def header(*, for_excel: bool) -> bytes:
    """Return the first line, after a byte order mark for Excel."""
    return csv_header(COLUMNS, for_excel=for_excel)


def render(rows: Iterable[tuple[Any, ...]]) -> bytes:
    """Return rows, each the values of ``FIELDS``, as lines."""
    return csv_lines(map(_cells, rows))


def _cells(row: tuple[Any, ...]) -> list[str]:
    cells = list(map(_text, row))
    if not may_need_guard(cells):
        return cells
    # Numbers can't start a formula.
    return [cell if isinstance(value, int) else csv_cell(cell) for cell, value in zip(cells, row, strict=True)]


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bool):
        return "true" if value else "false"
    return canonical_json(value) if isinstance(value, dict | list) else str(value)
