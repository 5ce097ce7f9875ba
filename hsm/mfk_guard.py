"""Compares the MFK's public half in the database with the pinned one, and raises the alarm when they differ.

Secrets are sealed under that public half, so one that was exchanged would let a stranger read the next secret.
"""

from __future__ import annotations

from enum import StrEnum

from django.db import transaction
from django.utils.translation import gettext as _

from hsm.models import HsmDevice
from hsm.sealing import seal
from hsm.services import designated_device
from kmes.core.actor import SYSTEM
from kmes.core.errors import DeviceError
from kmes.core.pinned_keys import KeyUse, PinnedKeysError, is_pinned, read_pinned
from kmes.core.public_keys import fingerprint
from kmes.core.secret_types import SecretText
from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.services import record

CHANGED, RETURNED = "device.mfk_changed", "device.mfk_returned"


class MfkState(StrEnum):
    """How the designated device's MFK compares with the pinned one. ``/readyz`` shows the values."""

    OK = "ok"
    # No device is designated, so there is nothing to compare.
    NONE = "no device"
    UNPINNED = "not pinned"
    CHANGED = "changed"
    UNREADABLE = "pin file unreadable"


def state_of_mfk() -> MfkState:
    """Compare the designated device's MFK in the database with the pinned one. One query."""
    device = HsmDevice.objects.filter(is_designated=True).only("mfk_public_spki").first()
    return compare(device) if device is not None else MfkState.NONE


def describe(state: MfkState) -> tuple[str, str]:
    """Return what is wrong and what to do, in words; empty when nothing is."""
    texts = {
        MfkState.CHANGED: (
            _("The MFK's public half in the database is not the pinned one. No secret is sealed under it."),
            _(
                "Somebody may have changed the database. Verify the log; then run manage.py hsm_init where the device is."
            ),
        ),
        MfkState.UNPINNED: (
            _("The MFK's public half is not pinned yet, so no secret can be sealed."),
            _("Run manage.py hsm_init where the device is."),
        ),
        MfkState.UNREADABLE: (
            _("The file of pinned keys can't be read, so no secret can be sealed."),
            _("Check KMES_PINNED_KEYS_FILE, its content and its mode."),
        ),
    }
    return texts.get(state, ("", ""))


def seal_for_device(clear: SecretText, *, aad: bytes) -> bytes:
    """Seal a text for the designated device, after its MFK was compared with the pinned one.

    Raises:
        DeviceError: no device is designated, or its MFK is not the pinned one; nothing is sealed.

    """
    device = designated_device()
    state = compare(device)
    if state != MfkState.OK:
        watch_mfk()
        raise DeviceError(*describe(state), code="mfk_not_pinned")
    return seal(clear, aad=aad, mfk_public_spki=bytes(device.mfk_public_spki))


def watch_mfk() -> MfkState:
    """Compare, and log a change once in each direction. Return the state."""
    state = state_of_mfk()
    if state not in {MfkState.OK, MfkState.CHANGED}:
        return state
    is_alarmed = _last_event() == CHANGED
    if (state == MfkState.CHANGED) == is_alarmed:
        return state
    with transaction.atomic():
        # The lock lets one process of several log the change.
        device = HsmDevice.objects.select_for_update().filter(is_designated=True).first()
        if device is None or (_last_event() == CHANGED) != is_alarmed:
            return state
        found = fingerprint(bytes(device.mfk_public_spki))
        if state == MfkState.CHANGED:
            message = f"The MFK of device {device} in the database is not the pinned one; no secret is sealed under it"
        else:
            message = f"The MFK of device {device} in the database is the pinned one again"
        record(
            CHANGED if state == MfkState.CHANGED else RETURNED,
            actor=SYSTEM,
            message=message,
            data={"found": f"sha256:{found}", "pinned": [f"sha256:{key}" for key in read_pinned(KeyUse.MFK)]},
        )
    return state


def compare(device: HsmDevice) -> MfkState:
    """Compare a device's MFK, as it was read from the database, with the pinned one. No query."""
    try:
        if is_pinned(KeyUse.MFK, bytes(device.mfk_public_spki)):
            return MfkState.OK
        return MfkState.CHANGED if read_pinned(KeyUse.MFK) else MfkState.UNPINNED
    except PinnedKeysError:
        return MfkState.UNREADABLE


def _last_event() -> str:
    rows = LogEntry.objects.filter(service=Service.DEVICE, event__in=[CHANGED, RETURNED])
    return rows.order_by("-sequence").values_list("event", flat=True).first() or ""
