"""``manage.py make_request_keys``: the keys with which web and worker sign what they ask for."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from kmes.core import request_keys
from kmes.core.actor import SYSTEM
from kmes.core.request_keys import Signer
from logging_reports.services import record


class Command(BaseCommand):
    """Make the keys that are missing, or replace one."""

    help = "Make the keys that sign requests where they are missing; each belongs to the user its process runs as."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the process whose key is replaced."""
        parser.add_argument(
            "--replace",
            choices=[signer.value for signer in Signer],
            help="make a new key for this process; open requests signed with the former one are refused",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make and log them; every failure is one sentence."""
        replaced = [Signer(options["replace"])] if options["replace"] else []
        folder, signers = settings.KMES_REQUEST_KEYS_DIR, settings.KMES_REQUEST_SIGNERS_FILE
        try:
            made = request_keys.make_request_keys(folder, signers, replace=replaced)
            accepted = request_keys.read_signers(signers)
        except (OSError, ValueError) as error:
            raise CommandError(f"The keys can't be made: {error}.") from None
        for signer in made:
            record(
                "configuration.request_key_made",
                actor=SYSTEM,
                message=f"The process {signer} signs requests with a new key",
                data={"accepted": accepted[signer]},
            )
            self.stdout.write(f"made {request_keys.private_file(folder, signer)}")
        self.stdout.write(f"public halves: {signers}")
