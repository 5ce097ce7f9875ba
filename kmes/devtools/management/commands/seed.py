"""``manage.py seed``: trial data in any volume, to see the console at the size it will have."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from cloudcreds.choices import CloudName
from cloudcreds.models import CloudCredential
from kmes.core.actor import SYSTEM
from kmes.devtools import trial_data, trial_log
from logging_reports.services import record


class Command(BaseCommand):
    """Fill the database with groups, keys, jobs and log rows that lead nowhere."""

    help = "Write trial data: key groups, keys that no device can use, jobs, and log rows in a valid chain."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--groups", type=int, default=10, metavar="N", help="key groups, each with a job (10)")
        parser.add_argument("--keys", type=int, default=100, metavar="N", help="keys over all groups (100)")
        parser.add_argument("--logs", type=int, default=1000, metavar="N", help="log rows over all logs (1000)")
        parser.add_argument(
            "--yes-really", action="store_true", help="write into a database that looks like production"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write everything and say how long it took."""
        groups, keys, logs = options["groups"], options["keys"], options["logs"]
        if min(keys, logs) < 0 or groups < 1:
            raise CommandError("--groups must be at least 1, --keys and --logs must not be negative.")
        if logs and not keys:
            raise CommandError("Log rows speak of keys: ask for at least one with --keys.")
        if not options["yes_really"] and (reason := _looks_like_production()):
            raise CommandError(f"{reason} Log rows can never be removed. Say --yes-really if this is meant.")
        started = time.monotonic()
        seeded_keys = trial_data.write_rows(groups=groups, keys=keys)
        self._say(f"{groups} groups and {keys} keys", started, options)
        for service, count in trial_log.split(logs).items():
            for done in trial_log.write_rows(service, seeded_keys, count):
                if options["verbosity"] > 1:
                    self.stdout.write(f"{service.label}: {done} rows")
            self._say(f"{count} rows of the {service.label} log", started, options)
        record(
            "data.seeded",
            actor=SYSTEM,
            message=f"Trial data written: {groups} groups, {keys} keys, {logs} log rows",
            data={"groups": groups, "keys": keys, "logs": logs},
        )

    def _say(self, what: str, started: float, options: dict[str, Any]) -> None:
        if options["verbosity"]:
            self.stdout.write(f"{what} ({time.monotonic() - started:.1f} s)")


def _looks_like_production() -> str:
    """Return why this database is none for trials, "" when it may be one."""
    if CloudCredential.objects.exclude(cloud=CloudName.CUSTOM).exists():
        return "This database has credentials of the real Azure."
    # ``make run`` gives its settings to its processes alone; the certificate of its stand-in tells the folder apart.
    has_stand_in = settings.KMES_STAND_IN_URL or (settings.KMES_STATE_DIR / "azure_emulator" / "ca.pem").exists()
    if not has_stand_in and not settings.KMES_INSECURE_HTTP:
        return "This installation looks like production: it has no stand-in and wants https."
    return ""
