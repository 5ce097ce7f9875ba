"""``python -m kmes.devtools.fuzz --requests 10000 --seed 7``: odd requests to all pages, in a database of its own.

The database is made for the run and removed: beside the others of the server that DATABASE_URL names, else in a file.
A finding names the request's number: ``--first NUMBER --requests 1`` with the same seed sends it again.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from kmes.devtools.fuzz.running import Finding, Report

SHOWN_KINDS = 50


def main() -> int:
    """Send the requests; exit 1 when an answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m kmes.devtools.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, metavar="N", help="how many to draw (10,000)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), metavar="N", help="of the dice")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first request (0)")
    parser.add_argument("--links", type=int, default=300, metavar="N", help="pages to look at before (300)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kmes-fuzz-") as folder:
        _prepare(Path(folder))
        report = _run(options)
    _print(report, options.seed)
    return 1 if report.findings else 0


def _prepare(folder: Path) -> None:
    """Name an installation of its own in the environment, and read the settings."""
    (folder / "static").mkdir()
    os.environ.update(
        DJANGO_SETTINGS_MODULE="kmes.settings",
        KMES_STATE_DIR=str(folder),
        KMES_PROCESS="web",
        # The requests come from this process, without TLS.
        KMES_INSECURE_HTTP="1",
        KMES_ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
        KMES_ALLOW_CUSTOM_ENDPOINTS="1",
        # Nothing listens there.
        KMES_REDIS_URL="redis://127.0.0.1:1/0",
        KMES_PINNED_KEYS_FILE=str(folder / "pinned_keys.json"),
    )
    django.setup()
    # Refusals and errors are counted; their tracebacks stand in the report.
    logging.disable(logging.CRITICAL)


def _run(options: argparse.Namespace) -> Report:
    from django.db import connection  # noqa: PLC0415 - settings exist once Django is set up

    from kmes.devtools import strict_columns  # noqa: PLC0415
    from kmes.devtools.fuzz import targets  # noqa: PLC0415
    from kmes.devtools.fuzz.running import Fuzzer  # noqa: PLC0415

    strict_columns.install()
    former = connection.settings_dict["NAME"]
    print(f"seed {options.seed}, {connection.vendor}", flush=True)
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        fuzzer = Fuzzer(targets.write_rows(), seed=options.seed)
        fuzzer.look_around(links=options.links)
        return fuzzer.run(
            range(options.first, options.first + options.requests), on_finding=_show, on_progress=_progress
        )
    finally:
        connection.creation.destroy_test_db(former, verbosity=0)


def _show(finding: Finding) -> None:
    print(f"--- {finding.kind}\n    number {finding.number}: {finding.request}", flush=True)


def _progress(sent: int, started: float) -> None:
    print(f"{sent:,} requests, {time.monotonic() - started:.0f} s", flush=True)


def _print(report: Report, seed: int) -> None:
    by_status = ", ".join(f"{status}: {count:,}" for status, count in sorted(report.by_status.items()))
    seconds, request = report.slowest
    print(f"seed {seed}: {report.sent:,} requests; answers by status: {by_status}")
    print(f"slowest: {seconds:.2f} s, {request}")
    for kind, found in sorted(report.findings.items())[:SHOWN_KINDS]:
        print(f"\n=== {len(found)} × {kind}\n{found[0].number}: {found[0].request}\n{found[0].detail}")
    print(f"{len(report.findings)} kinds of findings")


if __name__ == "__main__":
    sys.exit(main())
