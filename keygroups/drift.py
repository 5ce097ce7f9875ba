"""Drift: how each version in the vault differs from what is recorded here, kept until the next comparison.

A comparison changes no state. A person decides about each difference: set it back by a job, or
accept it (``services.accept_drift``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from keygroups import lifecycle
from keygroups.choices import REPAIRABLE, Drift
from keygroups.fields import own_tags
from keygroups.models import CloudVersion, KeyGroup, Observation
from kmes.core.clock import now


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One version as the vault shows it."""

    azure_version: str
    kid: str
    enabled: bool
    created_on: datetime | None = None
    updated_on: datetime | None = None
    expires_on: datetime | None = None
    operations: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    public_spki: bytes | None = None


def console_tags(version: CloudVersion) -> dict[str, str]:
    """Return the console's tags that never change after the push."""
    return {"kmes-key": str(version.key_id), "kmes-spki": version.key.thumbprint, "kmes-app": "kmes"}


def compare(version: CloudVersion | None, seen: Seen) -> list[Drift]:
    """Return how the vault differs from what is recorded. A value that was never recorded can't differ."""
    if version is None:
        return [Drift.UNKNOWN]
    found = []
    if seen.public_spki is not None and seen.public_spki != bytes(version.key.public_spki):
        found.append(Drift.MATERIAL)
    if seen.enabled != version.enabled:
        found.append(Drift.ENABLED)
    if seen.expires_on != version.expires_at:
        found.append(Drift.EXPIRY)
    if version.operations and set(seen.operations) != set(version.operations):
        found.append(Drift.OPERATIONS)
    lost = console_tags(version).items() - seen.tags.items()
    if lost or (version.tags is not None and own_tags(seen.tags) != version.tags):
        found.append(Drift.TAGS)
    return found


def observe(group: KeyGroup, version: CloudVersion | None, seen: Seen) -> Observation:
    """Store what the vault shows of one version, with its differences. An accepted version stays accepted.

    The caller brings the transaction, and calls ``recount`` at its end.
    """
    values = {
        "version": version,
        "kid": seen.kid,
        "seen_at": now(),
        "is_present": True,
        "enabled": seen.enabled,
        "created_on": seen.created_on,
        "updated_on": seen.updated_on,
        "expires_on": seen.expires_on,
        "operations": seen.operations,
        "tags": seen.tags,
        "flags": [str(flag) for flag in compare(version, seen)],
    }
    row, _made = Observation.objects.update_or_create(
        group=group, azure_version=seen.azure_version, defaults=values, create_defaults=values
    )
    return row


def observe_missing(group: KeyGroup, version: CloudVersion) -> None:
    """Store that the vault does not hold a version. The caller brings the transaction."""
    values = {"version": version, "kid": version.kid, "seen_at": now(), "is_present": False, "flags": [Drift.MISSING]}
    Observation.objects.update_or_create(
        group=group, azure_version=version.azure_version, defaults=values, create_defaults=values
    )


def is_repairable(row: Observation) -> bool:
    """Return whether a job can set the version back, or disable it if it was made outside this console."""
    if not row.is_present or not row.flags:
        return False
    if row.version_id is None:
        return bool(row.enabled)
    return not (set(row.flags) - REPAIRABLE)


def forget_others(group: KeyGroup, kept: Iterable[str]) -> None:
    """Delete the rows of versions that neither the vault nor this console has any more."""
    group.observations.exclude(azure_version__in=list(kept)).delete()


def recount(group: KeyGroup) -> int:
    """Count the versions that differ, and record the count and the time on the group. Return the count."""
    differing = [row for row in group.observations.all() if row.flags and not row.is_accepted]
    lifecycle.record_compared(group=group, differences=len(differing))
    return len(differing)
