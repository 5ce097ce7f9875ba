"""``manage.py hsm_init``: token, major keys, the device's row and its pinned keys. Safe to run again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hsm.device import get_device
from hsm.emulator import create_token
from hsm.pinning import pin_device, public_keys_of, record_pinned
from hsm.services import record_self_test, register_device
from hsm.session import find_module
from kmes.core.actor import SYSTEM
from kmes.core.errors import KmesError
from kmes.core.pinned_keys import KeyUse
from kmes.core.public_keys import fingerprint


class Command(BaseCommand):
    """Prepare the device."""

    help = (
        "Make the development token if there is none, make missing major keys, pin the device's public keys,"
        " and register the device."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the option."""
        parser.add_argument(
            "--pin-new-keys",
            action="store_true",
            help="pin this device's keys although keys of another device are pinned already",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Run it; every failure is one sentence."""
        try:
            module = find_module(settings.KMES_HSM_MODULE)
            if "softhsm" in module.lower() and not settings.KMES_HSM_PIN_FILE.exists():
                create_token(settings.KMES_STATE_DIR, module=module, label=settings.KMES_HSM_TOKEN_LABEL)
            device = get_device()
            made = device.initialise()
            keys = device.major_keys()
            identity = device.identity()
            report_spki = device.report_public_spki()
            results = device.self_test()
            own = public_keys_of(device)
            pinned = pin_device(own, also_new=options["pin_new_keys"])
        except KmesError as error:
            raise CommandError(str(error)) from None
        register_device(
            identity=identity,
            keys=keys,
            mfk_public_spki=own[KeyUse.MFK],
            report_public_spki=report_spki,
            actor=SYSTEM,
        )
        record_pinned(serial=identity.serial, fingerprints=pinned)
        record_self_test(serial=identity.serial, results=results, actor=SYSTEM)
        failed = [result for result in results if not result.ok]
        if failed:
            raise CommandError("The device's self-test failed: " + "; ".join(f"{r.name}: {r.detail}" for r in failed))
        if options["verbosity"]:
            for name in made:
                self.stdout.write(f"made {name}")
            for key in keys:
                self.stdout.write(f"{key.name} {key.algorithm} check value {key.check_value}")
            self.stdout.write(f"Report key P-256 SHA-256 {fingerprint(report_spki)}")
            # For an auditor: verify_log --key takes it, and nobody but the device can say it (docs/log.md).
            self.stdout.write(f"Checkpoint key P-256 SHA-256 {fingerprint(own[KeyUse.CHECKPOINT])}")
            self.stdout.write(f"MFK SHA-256 {fingerprint(own[KeyUse.MFK])}")
            if pinned:
                self.stdout.write(f"pinned in {settings.KMES_PINNED_KEYS_FILE}")
