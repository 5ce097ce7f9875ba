"""``manage.py restore FILE``: replaces this installation's state by a backup's, completely or not at all."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as AnyDatabaseError

from kmes.core.errors import KmesError
from kmes.core.pinned_keys import KeyUse, read_file
from kmes.operations import archive
from kmes.operations.restore import RestoreOptions, check_manifest, check_signer, restore_backup
from kmes.operations.sealed_file import read_passphrase
from kmes.operations.token_copy import statement
from logging_reports.handovers import clean_fingerprint
from logging_reports.safe_text import visible


class Command(BaseCommand):
    """Restore a backup on a stopped installation."""

    help = "Restore a backup. The installation's processes must be stopped."
    # The database may not exist yet, or be the damaged one that is being replaced.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--passphrase-file", type=Path, help="the passphrase of an encrypted backup")
        parser.add_argument("--replace", action="store_true", help="replace what this installation holds")
        parser.add_argument("--without-token", action="store_true", help="leave the token here as it is")
        parser.add_argument("--without-device", action="store_true", help="don't ask the device for its check values")
        parser.add_argument(
            "--pin-new-keys", action="store_true", help="trust the keys of the backup's device from now on"
        )
        parser.add_argument(
            "--key",
            action="append",
            default=[],
            metavar="SHA256 or FILE",
            help="trust this checkpoint key too: the fingerprint that hsm_init printed, or a copy of the file of pinned keys",
        )
        parser.add_argument(
            "--accept-unsigned",
            action="store_true",
            help="restore a backup that nobody signed, as earlier releases made them",
        )
        parser.add_argument("--show", action="store_true", help="only say what the backup holds and needs")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Restore, and say what to do next; every failure is one sentence."""
        try:
            passphrase = read_passphrase(options["passphrase_file"]) if options["passphrase_file"] else None
            chosen = RestoreOptions(
                replace=options["replace"],
                with_token=not options["without_token"],
                with_device=not options["without_device"],
                pin_new_keys=options["pin_new_keys"],
                keys=_read_keys(options["key"]),
                accept_unsigned=options["accept_unsigned"],
            )
            if options["show"]:
                self._show(archive.read_head(options["file"], passphrase), chosen)
                return
            result = restore_backup(options["file"], passphrase=passphrase, options=chosen)
        except KmesError as error:
            raise CommandError(visible(str(error))) from None
        except (AnyDatabaseError, OSError) as error:
            raise CommandError(f"Nothing was restored: {error}") from error
        self.stdout.write(f"Restored the state of {result.manifest.made_at[:19]} UTC.")
        for service, rows in sorted(result.rows.items()):
            self.stdout.write(f"{service} log: {rows} rows, chain intact")
        for note in result.notes:
            self.stdout.write(note)
        self.stdout.write("Start the console; scheduled rotations wait until somebody confirms them there.")

    def _show(self, head: archive.Head, chosen: RestoreOptions) -> None:
        manifest = head.manifest
        self.stdout.write(f"release {manifest.version}, {manifest.made_at[:19]} UTC, {manifest.vendor}")
        self.stdout.write(statement(manifest.device, has_token=manifest.has_token))
        self.stdout.write(f"signed by the key sha256:{head.signed_by}" if head.signed_by else "NOT SIGNED")
        check_signer(head, chosen)
        check_manifest(manifest)


def _read_keys(texts: list[str]) -> frozenset[str]:
    """Return the fingerprints that the option ``--key`` names, itself or by a file of pinned keys.

    Raises:
        PinnedKeysError: one is neither.

    """
    keys: set[str] = set()
    for text in texts:
        try:
            keys.add(clean_fingerprint(text))
        except ValueError:
            keys.update(read_file(Path(text), KeyUse.CHECKPOINT))
    return frozenset(keys)
