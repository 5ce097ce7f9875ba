"""``manage.py hsm_init``: token, major keys, and the device's row. Safe to run again."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hsm.device import get_device
from hsm.emulator import create_token
from hsm.services import record_self_test, register_device
from hsm.session import find_module
from kmes.core.actor import SYSTEM
from kmes.core.errors import DeviceError
from kmes.core.public_keys import fingerprint


class Command(BaseCommand):
    """Prepare the device."""

    help = "Make the development token if there is none, make missing major keys, and register the device."

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
            checkpoint_key = fingerprint(device.checkpoint_public_spki())
        except DeviceError as error:
            raise CommandError(str(error)) from None
        register_device(
            identity=identity,
            keys=keys,
            mfk_public_spki=device.mfk_public_spki(),
            report_public_spki=report_spki,
            actor=SYSTEM,
        )
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
            self.stdout.write(f"Checkpoint key P-256 SHA-256 {checkpoint_key}")
