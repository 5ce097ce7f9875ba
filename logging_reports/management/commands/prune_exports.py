"""``manage.py prune_exports``: deletes old export files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from kmes.core.errors import KmesError
from kmes.core.options import value
from logging_reports.export_lifecycle import expire

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Delete old export files. Meant for a nightly timer; safe at any time."""

    help = "Delete export files older than the option “Keep export files” says."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--keep-days", type=int)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Delete the files and print how many."""
        keep_days = value("export_keep_days") if options["keep_days"] is None else options["keep_days"]
        if keep_days < 0:
            raise CommandError("--keep-days must not be negative.")
        try:
            pruned = expire(keep_days=keep_days)
        except KmesError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Deleted {pruned} export file(s).")
