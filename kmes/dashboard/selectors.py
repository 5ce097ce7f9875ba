"""Counts for the home page: jobs, rotations, expiries, KEKs left over. Reads only.

Each function is one query, so that the page's cost does not grow with the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Q, QuerySet, Value

from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.selectors import EXPIRY_WARNING_DAYS
from hsm.models import HsmDevice
from jobs.choices import FAILED_STATES, FINAL_STATES, HoldReason, KekState
from jobs.models import EphemeralKek, Job, ScheduleClock
from keygroups.choices import VersionState
from keygroups.models import CloudVersion, KeyGroup
from keygroups.rotation_standing import is_due_soon, is_late
from keygroups.selectors import is_expiring
from kmes.core.clock import now

FAILED_JOBS_DAYS = 7
RECENT_JOBS = 8


@dataclass(frozen=True)
class RotationCounts:
    """How many groups' rotations are late or due soon, and how many groups differ from their vaults."""

    late: int
    soon: int
    drifting: int


@dataclass(frozen=True)
class CredentialCounts:
    """How many credentials need attention, by reason."""

    expiring: int
    failing: int
    untested: int
    vaults_unseen: int


@dataclass(frozen=True)
class VersionCounts:
    """How many live versions expire soon, and how many are missing."""

    expiring: int
    missing: int


def recent_jobs(limit: int = RECENT_JOBS) -> list[Job]:
    """Return the newest jobs of everybody."""
    return list(Job.objects.all()[:limit])


def count_failures() -> tuple[int, int, HoldReason | None]:
    """Return the numbers of recently failed jobs and of KEKs left over, and why the schedule is held.

    One query.
    """
    failed = failed_jobs().order_by().values(of=Value("failed")).annotate(count=Count("pk"))
    left_over = keks_left_over().order_by().values(of=Value("keks")).annotate(count=Count("pk"))
    held = ScheduleClock.objects.filter(held_since__isnull=False).order_by().values(of=F("held_reason"))
    parts = failed.union(left_over, held.annotate(count=Count("pk")), all=True)
    counts = {row["of"]: row["count"] for row in parts}
    reason = next((reason for reason in HoldReason if reason.value in counts), None)
    return counts.get("failed", 0), counts.get("keks", 0), reason


def failed_jobs() -> QuerySet[Job]:
    """Return the jobs of the last seven days that failed, wholly or in part."""
    return Job.objects.filter(
        state__in=FAILED_STATES,
        finished_at__gte=now() - timedelta(days=FAILED_JOBS_DAYS),
        # A failed job that was retried is counted by its new job.
        retries__isnull=True,
    )


def keks_left_over() -> QuerySet[EphemeralKek]:
    """Return the KEKs that may still be in a vault although their job has ended."""
    return EphemeralKek.objects.filter(state__in=[KekState.PLANNED, KekState.LIVE], job__state__in=FINAL_STATES)


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


def count_credentials(credentials: list[CloudCredential], vaults: list[KeyVault]) -> CredentialCounts:
    """Count credentials whose secret or certificate expires, whose test failed, or that was never tested. No query."""
    soon = now().date() + timedelta(days=EXPIRY_WARNING_DAYS)
    return CredentialCounts(
        expiring=sum(each.sign_in_expires_on is not None and each.sign_in_expires_on <= soon for each in credentials),
        failing=sum(each.last_test_ok is False for each in credentials),
        untested=sum(each.last_tested_at is None for each in credentials),
        vaults_unseen=sum(vault.seen_at is None for vault in vaults),
    )


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
