"""Verifies an export in JSON Lines against an anchor and the key that signed it, without database and Django.

``python -m logging_reports.offline EXPORT.jsonl --anchor FILE --key SHA256`` needs only Python and the package
``cryptography``; ``manage.py verify_log --export`` does the same. Exit status: 0 the file holds every row up to the
anchor as it was written, 1 something was changed or is missing, 2 the file could not be read or proves nothing.

A hash chain alone proves nothing, because anybody can compute one. A row is proven when the chain links it to the row
that the anchor names, and the anchor is signed by a key that the auditor knows from elsewhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from logging_reports import handovers
from logging_reports.anchors import AnchorError, Statement, read_anchor
from logging_reports.chain import GENESIS, has_valid_hash
from logging_reports.json_lines import LineError, from_line

INTACT, TAMPERED, COULD_NOT_CHECK = 0, 1, 2


@dataclass
class ExportVerdict:
    """The result of verifying an export.

    Attributes:
        key: fingerprint of the key that signed the anchor.
        service: the log; "" for a file without rows.
        rows: rows in the file.
        proven: rows that the chain links to the row that the anchor names.
        newer: rows after that one, which the anchor doesn't cover.
        gaps: pairs of neighbors in the file with rows left out between.
        faults: what was changed or is missing.
        stamped: when the anchor existed according to its time stamp; "" where none was given.

    """

    key: str
    service: str = ""
    rows: int = 0
    proven: int = 0
    newer: int = 0
    gaps: int = 0
    faults: list[str] = field(default_factory=list)
    stamped: str = ""

    @property
    def unproven(self) -> int:
        """Rows that the anchor should cover and that nothing links to it."""
        return self.rows - self.proven - self.newer

    @property
    def status(self) -> int:
        """The exit status."""
        if self.faults:
            return TAMPERED
        return COULD_NOT_CHECK if self.unproven or not self.proven else INTACT


@dataclass
class _Walk:
    """Where the check of a file stands. Exports run from the newest row to the oldest."""

    verdict: ExportVerdict
    anchored: dict[str, tuple[int, str]]
    is_filtered: bool
    last: SimpleNamespace | None = None
    # Whether the chain links the last row to the one that the anchor names.
    is_linked: bool = False
    is_anchor_seen: bool = False


def verify_lines(
    lines: Iterable[str], *, anchor: Statement, keys: Collection[str], is_filtered: bool = False
) -> ExportVerdict:
    """Verify the hash of each row, the links of neighbors, the row that the anchor names, and the anchor's signer.

    ``keys`` are the fingerprints that are trusted; those to which rows of the file hand over are trusted too. Unless
    the export is filtered, no row up to the anchor's may be missing.
    """
    verdict = ExportVerdict(anchor.key)
    walk = _Walk(verdict, {each.service: (each.sequence, each.hash) for each in anchor.positions}, is_filtered)
    handed_over: list[handovers.Handover] = []
    for number, line in enumerate(lines, start=1):
        try:
            if not line.endswith("\n"):
                raise LineError("the file ends in the middle of a line")
            row = from_line(line)
        except LineError as error:
            verdict.faults.append(f"line {number}: {error}")
            walk.last, walk.is_linked = None, False
            continue
        _check_line(walk, number, row)
        if row.event == handovers.EVENT:
            handed_over += _read_handover(row)
    _check_end(walk)
    if anchor.key not in handovers.extend_trust(keys, handed_over):
        verdict.faults.append(f"the anchor is signed by the key sha256:{anchor.key}, which is not the one given")
    return verdict


def _read_handover(row: Any) -> list[handovers.Handover]:
    try:
        return [handovers.read_handover(row.data)]
    except AnchorError:
        return []


def _check_line(walk: _Walk, number: int, row: Any) -> None:
    verdict, last = walk.verdict, walk.last
    verdict.rows += 1
    verdict.service = verdict.service or row.service
    found = _check_row(row)
    if last is not None:
        found += _check_pair(walk, last, row)
    sequence, digest = walk.anchored.get(row.service, (0, ""))
    if row.sequence == sequence:
        walk.is_anchor_seen = True
        walk.is_linked = row.hash == digest
        if not walk.is_linked:
            found.append(f"{row.service} row {row.sequence} is not the one the anchor names")
    if found:
        walk.is_linked = False
        verdict.faults += [f"line {number}: {fault}" for fault in found]
    verdict.proven += walk.is_linked
    verdict.newer += row.sequence > sequence
    walk.last = row


def _check_end(walk: _Walk) -> None:
    """Check that the file goes from the anchor's row to the first one."""
    verdict, last = walk.verdict, walk.last
    if last is None or walk.is_filtered:
        return
    sequence = walk.anchored.get(last.service, (0, ""))[0]
    if sequence and not walk.is_anchor_seen:
        verdict.faults.append(
            f"{last.service} row {sequence}, which the anchor names, is missing: the file was cut, is filtered, or is older"
            " than the anchor"
        )
    if last.sequence > 1:
        verdict.faults.append(
            f"{last.service} rows 1 to {last.sequence - 1} are missing: the file was cut, or is filtered"
        )


def _check_row(row: Any) -> list[str]:
    place = f"{row.service} row {row.sequence}"
    if not has_valid_hash(row):
        return [f"{place} was altered"]
    if row.sequence == 1 and row.previous_hash != GENESIS:
        return [f"{place} does not begin the log"]
    return []


def _check_pair(walk: _Walk, one: Any, other: Any) -> list[str]:
    """Check two neighboring lines."""
    place = f"{other.service} row {other.sequence}"
    if one.service != other.service:
        return [f"{place} is of another log"]
    if other.sequence >= one.sequence:
        return [f"{place} is not in order"]
    if one.sequence - other.sequence > 1:
        walk.verdict.gaps += 1
        walk.is_linked = False
        missing = f"{other.service} rows {other.sequence + 1} to {one.sequence - 1} are missing"
        return [] if walk.is_filtered else [missing]
    return [] if one.previous_hash == other.hash else [f"{place} does not link to the row after it"]


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


def check_time_stamp(verdict: ExportVerdict, anchor: Path, time_stamp: Path, trusted: Sequence[Any]) -> None:
    """Check the time stamp of an anchor file (RFC 3161, DER), and add to the verdict what it says or what is wrong.

    Raises:
        OSError: a file can't be read.

    """
    # Needs two packages more than the rest, and is asked for by few.
    from logging_reports.time_stamps import TimeStampError, read_time_stamp  # noqa: PLC0415

    try:
        stamp = read_time_stamp(time_stamp.read_bytes(), anchor.read_bytes(), trusted=trusted)
    except TimeStampError as error:
        verdict.faults.append(f"the time stamp of the anchor: {error}")
        return
    verdict.stamped = f"{stamp.at:%Y-%m-%d %H:%M:%S} UTC, as {stamp.authority} states"


def describe(verdict: ExportVerdict, *, shown: int = 20) -> list[str]:
    """Return the verdict as lines of text."""
    lines = [f"export: {fault}" for fault in verdict.faults[:shown]]
    if len(verdict.faults) > shown:
        lines.append(f"export: and {len(verdict.faults) - shown} more")
    state = {INTACT: "ok", TAMPERED: "TAMPERED", COULD_NOT_CHECK: "NOT PROVEN"}[verdict.status]
    if not verdict.rows:
        lines.append("export: the file holds no row")
    lines.append(
        f"export: {state}, {verdict.rows} rows of the log “{verdict.service}”: {verdict.proven} proven by the anchor,"
        f" {verdict.newer} newer than it, {verdict.unproven} not proven, {verdict.gaps} gaps"
    )
    lines.append(f"anchor: signed by the key sha256:{verdict.key}")
    if verdict.stamped:
        lines.append(f"anchor: existed at {verdict.stamped}")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Verify one file and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m logging_reports.offline", description=__doc__)
    parser.add_argument("export", type=Path)
    parser.add_argument(
        "--anchor", type=Path, required=True, help="a checkpoint of the same log, older than the export"
    )
    parser.add_argument(
        "--key",
        action="append",
        required=True,
        metavar="SHA256",
        help="fingerprint of the key that signs, as hsm_init printed it",
    )
    parser.add_argument("--filtered", action="store_true", help="rows were left out on purpose")
    parser.add_argument("--timestamp", type=Path, help="the anchor's time stamp (RFC 3161); needs --timestamp-ca")
    parser.add_argument("--timestamp-ca", type=Path, help="the certificates of the authority, PEM")
    options = parser.parse_args(arguments)
    if options.timestamp and not options.timestamp_ca:
        parser.error("--timestamp needs --timestamp-ca")
    try:
        keys = [handovers.clean_fingerprint(key) for key in options.key]
        anchor = load_anchor(options.anchor)
        with options.export.open(encoding="utf-8-sig", newline="\n") as lines:
            verdict = verify_lines(lines, anchor=anchor, keys=keys, is_filtered=options.filtered)
        if options.timestamp:
            from logging_reports.time_stamps import load_certificates  # noqa: PLC0415

            check_time_stamp(verdict, options.anchor, options.timestamp, load_certificates(options.timestamp_ca))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        print(f"export: could not be checked: {error}", file=sys.stderr)  # noqa: T201 - a command's output
        return COULD_NOT_CHECK
    print("\n".join(describe(verdict)))  # noqa: T201
    return verdict.status


if __name__ == "__main__":
    sys.exit(main())
