"""Pins the public keys of the device: which of them this installation trusts from now on."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _

from kmes.core.actor import SYSTEM
from kmes.core.errors import DeviceError
from kmes.core.pinned_keys import KeyUse, is_pinned, pin, read_pinned
from logging_reports.services import record


def pin_device(own: dict[KeyUse, bytes], *, also_new: bool) -> list[str]:
    """Pin the keys that a device has. Return the fingerprints that were not pinned before.

    Keys for a use that has none yet are pinned at once. ``also_new`` adds the keys of another device.

    Raises:
        DeviceError: other keys are pinned, and ``also_new`` is false (code ``other_keys_pinned``).
        PinnedKeysError: the file can't be read or written.

    """
    strange = [use for use, spki in own.items() if read_pinned(use) and not is_pinned(use, spki)]
    if strange and not also_new:
        raise DeviceError(
            _("The device has other keys than those pinned in %(path)s.") % {"path": settings.KMES_PINNED_KEYS_FILE},
            _("If the device was exchanged on purpose, run manage.py hsm_init --pin-new-keys. Otherwise find out why."),
            code="other_keys_pinned",
        )
    return pin(own)


def record_pinned(*, serial: str, fingerprints: list[str]) -> None:
    """Write the log row of keys that were pinned; none where nothing is new."""
    if fingerprints:
        record(
            "device.keys_pinned",
            actor=SYSTEM,
            message=f"Public keys of the device {serial} are trusted from now on",
            data={"keys": [f"sha256:{each}" for each in fingerprints]},
        )
