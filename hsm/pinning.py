"""Pins the public keys of the device: which of them this installation trusts from now on."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _

from hsm.device import Device
from kmes.core.actor import SYSTEM
from kmes.core.errors import DeviceError
from kmes.core.pinned_keys import KeyUse, is_pinned, pin, read_pinned
from kmes.core.public_keys import fingerprint
from logging_reports.services import record


def pin_device(own: dict[KeyUse, bytes], *, also_new: bool) -> list[str]:
    """Pin the keys that a device has. Return the fingerprints that were not pinned before.

    Keys for a use that has none yet are pinned at once. ``also_new`` adds the keys of another device.

    Raises:
        DeviceError: other keys are pinned, and ``also_new`` is false (code ``other_keys_pinned``).
        PinnedKeysError: the file can't be read or written.

    """
    if not also_new:
        refuse_strange_keys(own)
    return pin({use: fingerprint(spki) for use, spki in own.items()})


def public_keys_of(device: Device) -> dict[KeyUse, bytes]:
    """Return the public keys of a device that can be pinned, as DER SubjectPublicKeyInfo."""
    return {KeyUse.MFK: device.mfk_public_spki(), KeyUse.CHECKPOINT: device.checkpoint_public_spki()}


def refuse_strange_keys(own: dict[KeyUse, bytes]) -> None:
    """Refuse a device whose keys are not those that are pinned for the same use.

    Raises:
        DeviceError: code ``other_keys_pinned``.

    """
    if any(read_pinned(use) and not is_pinned(use, spki) for use, spki in own.items()):
        raise DeviceError(
            _("The device has other keys than those pinned in %(path)s.") % {"path": settings.KMES_PINNED_KEYS_FILE},
            _(
                "If the device was exchanged on purpose, run the command again with --pin-new-keys. Otherwise find out why."
            ),
            code="other_keys_pinned",
        )


def record_pinned(*, serial: str, fingerprints: list[str]) -> None:
    """Write the log row of keys that were pinned; none where nothing is new."""
    if fingerprints:
        record(
            "device.keys_pinned",
            actor=SYSTEM,
            message=f"Public keys of the device {serial} are trusted from now on",
            data={"keys": [f"sha256:{each}" for each in fingerprints]},
        )
