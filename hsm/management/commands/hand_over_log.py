"""``manage.py hand_over_log --to SHA256``: the present device names the one that signs checkpoints after it."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hsm.device import get_device
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from kmes.core.errors import KmesError
from kmes.core.pinned_keys import KeyUse, pin
from kmes.core.public_keys import fingerprint
from logging_reports import handovers
from logging_reports.services import record


class Command(BaseCommand):
    """Hand the checkpoints of the log over to another key."""

    help = "Have the present device sign that another checkpoint key follows its own; run it before the exchange."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the new key."""
        parser.add_argument("--to", required=True, metavar="SHA256", help="the new key, as its hsm_init printed it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Sign, log and pin it; every failure is one sentence."""
        try:
            new = handovers.clean_fingerprint(options["to"])
            device = get_device()
            public_key = device.checkpoint_public_spki()
            old = fingerprint(public_key)
            if new == old:
                raise CommandError("The device signs with this key already.")
            at = now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            text = handovers.write_text(at=at, old=old, new=new)
            data = handovers.to_data(text, device.sign_handover(text.encode()), public_key)
            pin({KeyUse.CHECKPOINT: new})
            record(handovers.EVENT, actor=SYSTEM, message=f"Checkpoints may be signed by the key {new}", data=data)
        except (KmesError, ValueError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"The key sha256:{old} hands over to sha256:{new}.")
