"""Brings database, device and first administrators up to date; run before the other processes start.

Idempotent. Its stdout is shown to the person who starts the console and is kept in no log, because
it contains the first administrators' passwords; a failure writes one sentence to stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor


def migrate_where_needed() -> None:
    """Apply migrations that the database lacks; quick when there are none."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0)


STEPS: dict[str, tuple[str, Callable[[], object]]] = {
    "database": ("Bringing the database up to date", migrate_where_needed),
    "device": ("Initialising the device", lambda: call_command("hsm_init")),
    "admins": ("Creating the first administrators", lambda: call_command("create_admins")),
}


def main(arguments: list[str]) -> int:
    """Do the named steps, or all, in order; the first that fails ends it."""
    parser = argparse.ArgumentParser(prog="python -m kmes.supervision.prepare")
    parser.add_argument("steps", nargs="*", metavar="STEP")
    parser.add_argument("--database-ready-fd", type=int, help="write to it once the database is up to date")
    given = parser.parse_args(arguments)
    label = "Reading the settings"
    try:
        django.setup()
        for name in given.steps or STEPS:
            label, action = STEPS[name]
            action()
            if name == "database" and given.database_ready_fd is not None:
                os.write(given.database_ready_fd, b"\n")
    except Exception as error:  # noqa: BLE001 - any error is reported as one sentence
        _keep_traceback()
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"{label} failed: {text}", file=sys.stderr)
        return 1
    return 0


def _keep_traceback() -> None:
    """Append the traceback to the log file."""
    if settings.configured:
        folder = Path(settings.KMES_STATE_DIR) / "log"
        # A container has no log folder; there the sentence is all.
        if folder.is_dir():
            with (folder / "prepare.log").open("a") as log:
                traceback.print_exc(file=log)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
