"""``manage.py authorize_existing``: lists the rows without this device's mark, and marks them when told to."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kmes.core.actor import SYSTEM
from kmes.core.errors import KmesError
from kmes.operations.authorization import find_unmarked, mark_rows
from logging_reports.safe_text import visible

WORD = "authorize"


class Command(BaseCommand):
    """Mark what an earlier release made."""

    help = (
        "List the rows that make the device act and don't carry its mark, and mark them after a confirmation. Run it"
        " once after an upgrade from a release without marks, where the device is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        chosen = parser.add_mutually_exclusive_group()
        chosen.add_argument("--list", action="store_true", help="only list them")
        chosen.add_argument("--yes", action="store_true", help="mark them without asking; read the list before")

    def handle(self, *_args: Any, **options: Any) -> None:
        """List, ask, mark; every failure is one sentence."""
        try:
            unmarked = find_unmarked()
            if not unmarked:
                self.stdout.write("Every row carries this device's mark. Nothing to do.")
                return
            self.stdout.write("These do not carry this device's mark, so the device does not act on them:")
            for line in unmarked.lines():
                # An attacker may have written these texts to the database; they must not hide a row on the terminal.
                self.stdout.write(f"  {visible(line)}")
            if options["list"]:
                return
            self.stdout.write("Somebody with access to the database could have made or changed them. Compare each.")
            if not options["yes"] and input(f"Type “{WORD}” to mark all of them: ").strip() != WORD:
                raise CommandError("Nothing was marked.")
            count = mark_rows(unmarked, actor=SYSTEM)
        except KmesError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{count} rows marked.")
        for name, why in unmarked.broken.items():
            self.stderr.write(visible(f"left out: {name}: {why}"))
