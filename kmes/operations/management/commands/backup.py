"""``manage.py backup FILE``: all that another host needs to continue, in one file."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as AnyDatabaseError

from kmes.core.errors import KmesError
from kmes.operations.backup import make_backup
from kmes.operations.sealed_file import read_passphrase
from kmes.operations.token_copy import statement
from logging_reports.safe_text import visible


class Command(BaseCommand):
    """Make a backup while the console runs."""

    help = "Write a backup: database, signing key, software token, and the exports if asked for."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options; one of passphrase and --plain must be chosen."""
        parser.add_argument("file", type=Path, help="the file to write; it must not exist")
        sealing = parser.add_mutually_exclusive_group(required=True)
        sealing.add_argument("--passphrase-file", type=Path, help="encrypt under the passphrase in this file")
        sealing.add_argument("--plain", action="store_true", help="do not encrypt: the file is then as secret as all")
        parser.add_argument("--without-token", action="store_true", help="leave a software token out")
        parser.add_argument(
            "--unsigned",
            action="store_true",
            help="don't let the device sign it; restore then demands --accept-unsigned",
        )
        parser.add_argument("--with-exports", action="store_true", help="add the export files")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make it and say what it holds; every failure is one sentence."""
        try:
            passphrase = read_passphrase(options["passphrase_file"]) if options["passphrase_file"] else None
            made = make_backup(
                options["file"],
                passphrase=passphrase,
                with_token=not options["without_token"],
                with_exports=options["with_exports"],
                with_signature=not options["unsigned"],
            )
        except KmesError as error:
            raise CommandError(visible(str(error))) from None
        except (AnyDatabaseError, OSError) as error:
            raise CommandError(f"The backup could not be made: {error}") from error
        manifest = made.manifest
        self.stdout.write(f"{made.path}: release {manifest.version}, {manifest.made_at[:19]} UTC, {manifest.vendor}")
        self.stdout.write(f"sha256 {made.sha256}")
        self.stdout.write(
            f"signed by the checkpoint key sha256:{made.signed_by}"
            if made.signed_by
            else "NOT SIGNED: nothing will show who made it, and restore demands --accept-unsigned"
        )
        for service, (sequence, digest) in sorted(manifest.facts.log_heads.items()):
            self.stdout.write(f"{service} log ends at {sequence} in {digest}")
        self.stdout.write(statement(manifest.device, has_token=manifest.has_token))
