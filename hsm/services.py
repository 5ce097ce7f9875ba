"""Writes about devices: register, designate, record what a worker reports."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from hsm.models import HsmDevice, WorkerSighting
from hsm.types import DeviceIdentity, MajorKey, SelfTestResult
from kmes.accounts.rights import Right, check
from kmes.core.actor import SYSTEM, Actor
from kmes.core.clock import now
from kmes.core.errors import DeviceError
from kmes.core.guarded_changes import require_approval
from kmes.core.version import VERSION
from logging_reports.choices import Severity
from logging_reports.services import record

# Each new container has a new host name, so rows of old ones must go.
WORKER_RETENTION = timedelta(days=7)


def designated_device() -> HsmDevice:
    """Return the device that may push.

    Raises:
        DeviceError: none is designated (code ``not_designated``).

    """
    device = HsmDevice.objects.filter(is_designated=True).first()
    if device is None:
        raise DeviceError(
            _("No device is designated to push key material."),
            _("Designate one in Administration > Configuration > HSM Protected Key Options."),
            code="not_designated",
        )
    return device


def register_device(
    *,
    identity: DeviceIdentity,
    keys: list[MajorKey],
    mfk_public_spki: bytes,
    report_public_spki: bytes = b"",
    actor: Actor,
) -> HsmDevice:
    """Record a token, or what changed about it; the first one becomes the designated one."""
    values = {key.name: key.check_value for key in keys}
    with transaction.atomic():
        device, made = HsmDevice.objects.update_or_create(
            serial=identity.serial,
            defaults={
                "label": identity.label,
                "manufacturer": identity.manufacturer,
                "model": identity.model,
                "firmware": identity.firmware,
                "mfk_public_spki": mfk_public_spki,
                "report_spki": report_public_spki,
                "mfk_kcv": values["MFK"],
                "pmk_kcv": values["PMK"],
                "sentinel_hash": identity.sentinel_hash,
                "mechanisms": list(identity.mechanisms),
                "last_seen_at": now(),
            },
        )
        if made:
            record("device.registered", actor=actor, message=f"Device {device} registered")
        if not HsmDevice.objects.filter(is_designated=True).exists():
            _designate(device, actor)
    return device


def designate(*, device: HsmDevice, actor: Actor) -> HsmDevice:
    """Make a device the one that may push; the former one no longer may."""
    check(actor, Right.DEVICE_MANAGE)
    with transaction.atomic():
        require_approval("device.designate", {"device": str(device.pk)}, actor=actor)
        _designate(device, actor)
    return device


def _designate(device: HsmDevice, actor: Actor) -> None:
    HsmDevice.objects.filter(is_designated=True).exclude(pk=device.pk).update(is_designated=False)
    HsmDevice.objects.filter(pk=device.pk).update(is_designated=True)
    device.is_designated = True
    record("device.designated", actor=actor, message=f"Device {device} may push key material")


def record_self_test(*, serial: str, results: list[SelfTestResult], actor: Actor) -> None:
    """Keep the results of a self-test on the device's row and in the Device log."""
    passed = all(result.ok for result in results)
    with transaction.atomic():
        HsmDevice.objects.filter(serial=serial).update(
            self_test=[asdict(result) for result in results], self_test_at=now(), last_seen_at=now()
        )
        record(
            "device.self_test",
            actor=actor,
            severity=Severity.INFO if passed else Severity.ERROR,
            message=f"Self-test of {serial} passed" if passed else f"Self-test of {serial} failed",
            data={"results": [asdict(result) for result in results]},
        )


def record_availability(*, code: str, serial: str = "") -> None:
    """Record how a worker found its device: "ok", or the code of the error it met.

    The condition is part of the UPDATE, so that a change is logged once however many workers see it. Without
    ``serial`` (the device could not be identified) the designated device is meant.
    """
    devices = HsmDevice.objects.filter(serial=serial) if serial else HsmDevice.objects.filter(is_designated=True)
    if code == "ok":
        devices.update(last_seen_at=now())
    with transaction.atomic():
        if not devices.exclude(availability=code).update(availability=code):
            return
        event = {"ok": "device.returned", "device_replaced": "device.replaced"}.get(code, "device.unavailable")
        device = devices.get()
        messages = {
            "device.returned": "Device %(device)s serves again",
            "device.replaced": "Another token stands where device %(device)s was; it is not used",
            "device.unavailable": "Device %(device)s does not serve (%(code)s)",
        }
        record(event, actor=SYSTEM, message=messages[event] % {"device": device, "code": code})


def record_worker(*, host: str, state: str, serial: str = "") -> None:
    """Record that a worker reported, and with which device; without ``serial`` the row keeps its device."""
    seen = {"state": state, "version": VERSION, "seen_at": now()}
    device = HsmDevice.objects.filter(serial=serial).only("pk").first() if serial else None
    if device is not None:
        seen["device"] = device
    WorkerSighting.objects.update_or_create(host=host[:128], defaults=seen)
    WorkerSighting.objects.filter(seen_at__lt=now() - WORKER_RETENTION).delete()
