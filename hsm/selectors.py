"""Reads of registered devices. Never asks the device itself: only a worker may."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.utils.translation import gettext as _

from hsm.models import HsmDevice
from kmes.core.clock import now
from kmes.core.public_keys import fingerprint

# A worker reports every 15 s, and may miss some turns while it is busy.
SILENT_AFTER = timedelta(minutes=5)


@dataclass(frozen=True)
class MajorKeyRow:
    """One major key as the page shows it."""

    name: str
    title: str
    purpose: str
    check_value: str


def list_devices() -> list[HsmDevice]:
    """Return the registered devices, the designated one first."""
    devices = HsmDevice.objects.defer("mfk_public_spki").prefetch_related("workers")
    return list(devices.order_by("-is_designated", "label", "serial"))


def is_silent(device: HsmDevice) -> bool:
    """Return whether no worker has reported the device lately, so that its rows may be old."""
    return device.last_seen_at is None or now() - device.last_seen_at > SILENT_AFTER


def state_of(device: HsmDevice) -> tuple[str, str]:
    """Return how workers find the device, as the word and colour of a badge."""
    if is_silent(device):
        return _("Not seen lately"), "warning"
    if device.availability == "ok":
        return _("Online"), "good"
    words = {
        "device_replaced": _("Another token is in its place"),
        "pin_wrong": _("PIN refused"),
        "token_missing": _("Token not found"),
    }
    return words.get(device.availability, _("Unavailable (%(code)s)") % {"code": device.availability}), "bad"


def sentinel_of(device: HsmDevice) -> tuple[str, str]:
    """Return as word and colour whether this is the registered token, and whether it still signs."""
    if device.availability == "device_replaced":
        return _("Not the one that was registered"), "bad"
    if device.availability != "ok":
        return _("Unavailable now"), "warning"
    return _("Registered, and signs"), "good"


def find_device(device_id: UUID) -> HsmDevice | None:
    """Return one device."""
    return HsmDevice.objects.defer("mfk_public_spki").filter(pk=device_id).first()


def major_keys_of(device: HsmDevice) -> list[MajorKeyRow]:
    """Return the major keys with their check values, by which two devices are compared."""
    spki = bytes(device.report_spki)
    report = MajorKeyRow(
        _("Report key"), "", _("EC P-256; signs reports, here the SHA-256 of its public half"), fingerprint(spki)
    )
    return [
        MajorKeyRow(
            "PMK", _("Platform Master Key"), _("AES-256; wraps all private keys kept on this server"), device.pmk_kcv
        ),
        MajorKeyRow("MFK", _("Master File Key"), _("RSA; seals cloud secrets as they are typed"), device.mfk_kcv),
        *([report] if spki else []),
    ]


def shares_pmk(device: HsmDevice, other: HsmDevice) -> bool:
    """Return whether keys wrapped on one device open on the other."""
    return device.pmk_kcv == other.pmk_kcv and device.mfk_kcv == other.mfk_kcv
