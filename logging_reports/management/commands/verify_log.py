"""``manage.py verify_log``: is the log as it was written? Exit 0 yes, 1 no, 2 could not check."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as AnyDatabaseError

from logging_reports.choices import Service
from logging_reports.verification import Verdict, find_missing_guards, verify_service

if TYPE_CHECKING:
    from argparse import ArgumentParser

TAMPERED = 1
COULD_NOT_CHECK = 2


class Command(BaseCommand):
    """Verify the hash chain of one log or all of them."""

    help = "Verify the logs' hash chains. Exit status: 0 intact, 1 tampered with, 2 could not check."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--service", choices=Service.values, help="one log only")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print a line per log; leave with the exit status that says what was found."""
        services = [Service(options["service"])] if options["service"] else list(Service)
        try:
            verdicts = [verify_service(service) for service in services]
            guards = find_missing_guards()
        except AnyDatabaseError as error:
            raise CommandError(f"The log could not be checked: {error}", returncode=COULD_NOT_CHECK) from error
        intact = not guards and all(verdict.is_intact for verdict in verdicts)
        if options["json"]:
            logs = [{**asdict(verdict), "intact": verdict.is_intact} for verdict in verdicts]
            self.stdout.write(json.dumps({"intact": intact, "missing_triggers": guards, "logs": logs}))
        else:
            self._print(verdicts, guards)
        if not intact:
            raise SystemExit(TAMPERED)

    def _print(self, verdicts: list[Verdict], guards: list[str]) -> None:
        for verdict in verdicts:
            if verdict.first_break:
                found = verdict.first_break
                self.stdout.write(f"{verdict.service}: TAMPERED at {found.sequence}: {found.reason}")
            else:
                self.stdout.write(f"{verdict.service}: ok, {verdict.rows} rows, ends in {verdict.head_hash[:16]}")
        for name in guards:
            self.stdout.write(f"database: the trigger {name} is missing or switched off")
