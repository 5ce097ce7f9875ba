"""Counts for metrics, and the few rows that home page and set-up read. Reads only; each function is one query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q

from cloudcreds.models import CloudCredential, KeyVault
from hsm.models import HsmDevice
from keygroups.choices import VersionState
from keygroups.models import CloudVersion, KeyGroup
from keygroups.rotation_standing import is_due_soon, is_late
from keygroups.selectors import is_expiring
from kmes.core.clock import now


@dataclass(frozen=True)
class RotationCounts:
    """How many groups' rotations are late or due soon, and how many groups differ from their vaults."""

    late: int
    soon: int
    drifting: int


@dataclass(frozen=True)
class VersionCounts:
    """How many live versions expire soon, and how many are missing."""

    expiring: int
    missing: int


def count_rotations() -> RotationCounts:
    """Count late rotations, failed ones among them, and those that fall due within seven days."""
    counts = KeyGroup.objects.annotate(late_now=is_late()).aggregate(
        late=Count("pk", filter=Q(late_now=True)),
        soon=Count("pk", filter=is_due_soon()),
        drifting=Count("pk", filter=Q(differences__gt=0)),
    )
    return RotationCounts(**counts)


def list_credentials() -> list[CloudCredential]:
    """Return the credentials by name, without their sealed secrets."""
    return list(CloudCredential.objects.defer("sealed_secret").order_by("name"))


def list_vaults() -> list[KeyVault]:
    """Return the vaults by name, with their credentials."""
    return list(KeyVault.objects.select_related("credential").defer("credential__sealed_secret").order_by("name"))


def count_versions() -> VersionCounts:
    """Count active versions that expire within thirty days, and those found missing."""
    counts = CloudVersion.objects.aggregate(
        expiring=Count("pk", filter=is_expiring()),
        missing=Count("pk", filter=Q(state=VersionState.MISSING)),
    )
    return VersionCounts(**counts)


def find_device() -> HsmDevice | None:
    """Return the designated device's row; without one, that of the device seen last."""
    return HsmDevice.objects.order_by("-is_designated", "-last_seen_at").first()


def is_silent(seen_at: datetime | None, *, after: timedelta = timedelta(minutes=5)) -> bool:
    """Return whether a device was not seen for longer than ``after``."""
    return seen_at is None or seen_at < now() - after
