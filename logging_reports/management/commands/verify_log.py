"""``manage.py verify_log``: verifies the log. Exit status: 0 intact, 1 tampered with, 2 not proven."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as AnyDatabaseError

from kmes.core.errors import KmesError
from kmes.core.pinned_keys import KeyUse, read_pinned
from logging_reports import offline
from logging_reports.anchors import AnchorError, Statement
from logging_reports.choices import Service
from logging_reports.handovers import clean_fingerprint
from logging_reports.safe_text import visible
from logging_reports.time_stamp_verification import TimeStampVerdict, verify_time_stamps
from logging_reports.time_stamps import TimeStampError, load_certificates
from logging_reports.verification import (
    CheckpointVerdict,
    Verdict,
    find_trigger_faults,
    verify_checkpoints,
    verify_service,
)

if TYPE_CHECKING:
    from argparse import ArgumentParser

TAMPERED = 1
COULD_NOT_CHECK = 2
_FAULTS_SHOWN = 20


class Command(BaseCommand):
    """Verify rows, chain, checkpoints and signatures of one log or all of them, or of an export."""

    help = (
        "Verify the logs: rows, hash chains, checkpoints and their signatures. "
        "Exit status: 0 intact, 1 tampered with, 2 could not check, or not proven."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--service", choices=Service.values, help="the rows of one log only")
        parser.add_argument("--anchor", type=Path, metavar="FILE", help="a checkpoint that was kept elsewhere")
        parser.add_argument(
            "--key",
            action="append",
            metavar="SHA256",
            help="a checkpoint key to trust, by its fingerprint, instead of the pinned ones",
        )
        parser.add_argument(
            "--timestamp-ca",
            type=Path,
            metavar="FILE",
            help="verify time stamps by the certificates in this file, instead of those in KMES_TIMESTAMP_CA_FILE",
        )
        parser.add_argument("--timestamp", type=Path, metavar="FILE", help="with --export: the anchor's time stamp")
        parser.add_argument(
            "--export", type=Path, metavar="FILE", help="verify an export in JSON Lines instead; needs no database"
        )
        parser.add_argument("--filtered", action="store_true", help="with --export: rows were left out on purpose")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the result of each log and exit with the status."""
        try:
            anchor = offline.load_anchor(options["anchor"]) if options["anchor"] else None
            keys = [clean_fingerprint(key) for key in options["key"] or read_pinned(KeyUse.CHECKPOINT)]
        except (OSError, AnchorError) as error:
            raise CommandError(f"The anchor can't be used: {error}", returncode=COULD_NOT_CHECK) from error
        except (ValueError, KmesError) as error:
            raise CommandError(f"The key can't be used: {error}", returncode=COULD_NOT_CHECK) from error
        ca_file = options["timestamp_ca"] or settings.KMES_TIMESTAMP_CA_FILE
        try:
            self._certificates = load_certificates(Path(ca_file)) if ca_file else []
        except TimeStampError as error:
            raise CommandError(str(error), returncode=COULD_NOT_CHECK) from error
        verify = self._verify_export if options["export"] else self._verify_database
        if status := verify(anchor, keys, options):
            raise SystemExit(status)

    def _verify_export(self, anchor: Statement | None, keys: list[str], options: dict[str, Any]) -> int:
        if anchor is None or not keys:
            raise CommandError(
                "An export proves nothing alone: give a checkpoint of the same log with --anchor, and the key that"
                " signed it with --key.",
                returncode=COULD_NOT_CHECK,
            )
        try:
            with options["export"].open(encoding="utf-8-sig", newline="\n") as lines:
                verdict = offline.verify_lines(lines, anchor=anchor, keys=keys, is_filtered=options["filtered"])
            if options["timestamp"]:
                offline.check_time_stamp(verdict, options["anchor"], options["timestamp"], self._certificates)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The export could not be checked: {error}", returncode=COULD_NOT_CHECK) from error
        if options["json"]:
            self.stdout.write(json.dumps({"intact": verdict.status == offline.INTACT, "export": asdict(verdict)}))
        else:
            self.stdout.write("\n".join(offline.describe(verdict)))
        return verdict.status

    def _verify_database(self, anchor: Statement | None, keys: list[str], options: dict[str, Any]) -> int:
        services = [Service(options["service"])] if options["service"] else list(Service)
        try:
            verdicts = [verify_service(service) for service in services]
            checkpoints = verify_checkpoints(trusted=keys, anchor=anchor)
            guards = find_trigger_faults()
            stamps = verify_time_stamps(self._certificates) if self._certificates else None
        except AnyDatabaseError as error:
            raise CommandError(f"The log could not be checked: {error}", returncode=COULD_NOT_CHECK) from error
        faults = [*guards, *checkpoints.faults, *(stamps.faults if stamps else ())]
        intact = not faults and all(verdict.is_intact for verdict in verdicts)
        is_unproven = bool(checkpoints.unproven) or (stamps is not None and not stamps.count)
        status = (COULD_NOT_CHECK if is_unproven else 0) if intact else TAMPERED
        if options["json"]:
            logs = [{**asdict(verdict), "intact": verdict.is_intact} for verdict in verdicts]
            found = {"intact": intact, "proven": not status, "triggers": guards, "logs": logs}
            found["time_stamps"] = asdict(stamps) if stamps else None
            self.stdout.write(json.dumps({**found, "checkpoints": asdict(checkpoints)}))
        else:
            self._print(verdicts, guards)
            self._print_checkpoints(checkpoints, anchor)
            self._print_time_stamps(stamps)
        return status

    def _print(self, verdicts: list[Verdict], guards: list[str]) -> None:
        for verdict in verdicts:
            if verdict.first_break:
                found = verdict.first_break
                self.stdout.write(f"{verdict.service}: TAMPERED at {found.sequence}: {found.reason}")
            else:
                self.stdout.write(f"{verdict.service}: ok, {verdict.rows} rows, ends in {verdict.head_hash[:16]}")
        for fault in guards:
            # Whoever made a trigger chose its name: escape it.
            self.stdout.write(f"database: {visible(fault)}")

    def _print_checkpoints(self, found: CheckpointVerdict, anchor: Statement | None) -> None:
        for fault in found.faults[:_FAULTS_SHOWN]:
            self.stdout.write(f"checkpoints: TAMPERED: {fault}")
        if len(found.faults) > _FAULTS_SHOWN:
            self.stdout.write(f"checkpoints: and {len(found.faults) - _FAULTS_SHOWN} faults more")
        if not found.faults:
            self.stdout.write(f"checkpoints: ok, {found.count}, the newest is {found.newest}")
        for key in found.keys:
            self.stdout.write(f"checkpoints: signed by the key sha256:{key}")
        if found.uncovered:
            self.stdout.write(f"checkpoints: {found.uncovered} newer rows are not covered yet")
        for sentence in found.unproven:
            self.stdout.write(f"NOT PROVEN: {sentence}")
        if anchor:
            self.stdout.write(f"anchor: checkpoint {anchor.number} of {anchor.at:%Y-%m-%d %H:%M:%S} UTC")
        else:
            self.stdout.write(
                "anchor: none given; rows cut off the end together with their checkpoints would not be found"
            )

    def _print_time_stamps(self, found: TimeStampVerdict | None) -> None:
        if found is None:
            self.stdout.write("time stamps: not verified; name the authority's certificates with --timestamp-ca")
            return
        for fault in found.faults[:_FAULTS_SHOWN]:
            self.stdout.write(f"time stamps: TAMPERED: {fault}")
        if len(found.faults) > _FAULTS_SHOWN:
            self.stdout.write(f"time stamps: and {len(found.faults) - _FAULTS_SHOWN} faults more")
        for sentence in dict.fromkeys((found.first, found.last)):
            if sentence:
                self.stdout.write(f"time stamps: {sentence}")
        if not found.count:
            self.stdout.write("NOT PROVEN: no checkpoint has a time stamp")
        elif not found.faults:
            self.stdout.write(f"time stamps: ok, {found.count}; {found.unstamped} newer checkpoints have none yet")
