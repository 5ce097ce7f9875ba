"""Verifies an export in JSON Lines, optionally against an anchor, without database and Django.

``python -m logging_reports.offline EXPORT.jsonl [--anchor FILE]`` needs only Python and the package
``cryptography``; ``manage.py verify_log --export`` does the same. Exit status: 0 every row is as it was
written, 1 something was changed, 2 the file could not be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from logging_reports.anchors import AnchorError, Statement, read_anchor
from logging_reports.chain import GENESIS, has_valid_hash
from logging_reports.json_lines import LineError, from_line

INTACT, TAMPERED, COULD_NOT_CHECK = 0, 1, 2


@dataclass
class ExportVerdict:
    """The result of verifying an export. ``gaps``: pairs of neighbors in the file with rows left out between."""

    rows: int = 0
    gaps: int = 0
    anchored: int = 0
    faults: list[str] = field(default_factory=list)


def verify_lines(lines: Iterable[str], *, anchor: Statement | None = None) -> ExportVerdict:
    """Verify the hash of each row, the links of consecutive rows, and the rows that the anchor names.

    A filtered export has gaps. They are counted, because the rows in them are not verified.
    """
    verdict = ExportVerdict()
    named = {(each.service, each.sequence): each.hash for each in anchor.positions} if anchor else {}
    last: SimpleNamespace | None = None
    for number, line in enumerate(lines, start=1):
        try:
            row = from_line(line)
        except LineError as error:
            verdict.faults.append(f"line {number}: {error}")
            last = None
            continue
        verdict.rows += 1
        verdict.faults += [f"line {number}: {fault}" for fault in _check_row(row)]
        if last is not None:
            _check_pair(verdict, number, last, row)
        if (expected := named.get((row.service, row.sequence))) is not None:
            verdict.anchored += 1
            if row.hash != expected:
                verdict.faults.append(
                    f"line {number}: {row.service} row {row.sequence} is not the one the anchor names"
                )
        last = row
    return verdict


def _check_row(row: Any) -> list[str]:
    place = f"{row.service} row {row.sequence}"
    if not has_valid_hash(row):
        return [f"{place} was altered"]
    if row.sequence == 1 and row.previous_hash != GENESIS:
        return [f"{place} does not begin the log"]
    return []


def _check_pair(verdict: ExportVerdict, number: int, one: Any, other: Any) -> None:
    """Check two neighboring lines. Exports run from the newest row to the oldest."""
    place = f"line {number}: {other.service} row {other.sequence}"
    if one.service != other.service:
        verdict.faults.append(f"{place} is of another log")
    elif other.sequence >= one.sequence:
        verdict.faults.append(f"{place} is not in order")
    elif one.sequence - other.sequence > 1:
        verdict.gaps += 1
    elif one.previous_hash != other.hash:
        verdict.faults.append(f"{place} does not link to the row after it")


def load_anchor(path: Path) -> Statement:
    """Read an anchor file, check its signature and return what it says.

    Raises:
        AnchorError: the file is not an anchor, or its signature is wrong.
        OSError: the file can't be read.

    """
    try:
        return read_anchor(path.read_text(encoding="utf-8")).verify()
    except UnicodeDecodeError as error:
        raise AnchorError("this is not an anchor file") from error


def describe(verdict: ExportVerdict, *, shown: int = 20) -> list[str]:
    """Return the verdict as lines of text."""
    lines = [f"export: {fault}" for fault in verdict.faults[:shown]]
    if len(verdict.faults) > shown:
        lines.append(f"export: and {len(verdict.faults) - shown} more")
    state = "TAMPERED" if verdict.faults else "ok"
    lines.append(
        f"export: {state}, {verdict.rows} rows, {verdict.gaps} gaps, {verdict.anchored} rows named by the anchor"
    )
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Verify one file and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m logging_reports.offline", description=__doc__)
    parser.add_argument("export", type=Path)
    parser.add_argument("--anchor", type=Path, help="a checkpoint that was kept elsewhere")
    options = parser.parse_args(arguments)
    try:
        anchor = load_anchor(options.anchor) if options.anchor else None
        with options.export.open(encoding="utf-8-sig") as lines:
            verdict = verify_lines(lines, anchor=anchor)
    except (OSError, UnicodeDecodeError, AnchorError) as error:
        print(f"export: could not be checked: {error}", file=sys.stderr)  # noqa: T201 - a command's output
        return COULD_NOT_CHECK
    print("\n".join(describe(verdict)))  # noqa: T201
    return TAMPERED if verdict.faults else INTACT


if __name__ == "__main__":
    sys.exit(main())
