"""Rows of known devices. What only the device itself knows (keys) is never here."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kmes.core.ids import new_uuid


class HsmDevice(models.Model):
    """A token that a worker has registered."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    serial = models.CharField(_("Serial number"), max_length=64, unique=True)
    label = models.CharField(_("Label"), max_length=64)
    manufacturer = models.CharField(_("Manufacturer"), max_length=64)
    model = models.CharField(_("Model"), max_length=64)
    firmware = models.CharField(_("Firmware"), max_length=32)
    mfk_public_spki = models.BinaryField()
    mfk_kcv = models.CharField(_("MFK check value"), max_length=16)
    pmk_kcv = models.CharField(_("PMK check value"), max_length=16)
    sentinel_hash = models.CharField(max_length=64)
    # The public half of the key that signs reports, DER; empty until the device was registered with it.
    report_spki = models.BinaryField(default=bytes)
    mechanisms = models.JSONField(default=list)
    is_designated = models.BooleanField(_("Designated"), default=False)
    self_test = models.JSONField(default=list)
    self_test_at = models.DateTimeField(null=True)
    registered_at = models.DateTimeField(auto_now_add=True)
    # "ok", or the code of the error that workers meet with it.
    availability = models.CharField(max_length=32, default="ok")
    last_seen_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["label", "serial"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_designated"], condition=Q(is_designated=True), name="one_designated_device"
            )
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.serial})"

    @property
    def self_test_ok(self) -> bool:
        """Return whether the last self-test passed as a whole."""
        return bool(self.self_test) and all(part["ok"] for part in self.self_test)


class WorkerSighting(models.Model):
    """Which worker host was last seen with which device, and in what state. One row per host."""

    host = models.CharField(_("Host"), max_length=128, primary_key=True)
    device = models.ForeignKey(HsmDevice, null=True, on_delete=models.SET_NULL, related_name="workers")
    # "ok", or the code of the error that the worker meets with its device.
    state = models.CharField(max_length=32)
    version = models.CharField(max_length=32)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["host"]

    def __str__(self) -> str:
        return self.host
