"""Drift: how each version in the vault differs from what is recorded here, kept until the next comparison.

What is seen is recorded on the version as well, so that every page shows it. What is wanted stays as it was: a
person decides about each difference, sets it back by a job, or accepts it (``services.accept_drift``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _

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
    not_before: datetime | None = None
    operations: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    public_spki: bytes | None = None

    @property
    def starts_on(self) -> datetime | None:
        """Return its not-before date; None if that restricts nothing, because it had passed when it was made."""
        if self.not_before and self.created_on and self.not_before <= self.created_on:
            return None
        return self.not_before


def console_tags(version: CloudVersion) -> dict[str, str]:
    """Return the console's tags that never change after the push."""
    return {"kmes-key": str(version.key_id), "kmes-spki": version.key.thumbprint, "kmes-app": "kmes"}


def compare(version: CloudVersion | None, seen: Seen) -> list[Drift]:
    """Return how the vault differs from what is wanted. A value that was never recorded can't differ."""
    if version is None:
        return [Drift.UNKNOWN]
    found = []
    if seen.public_spki is not None and seen.public_spki != bytes(version.key.public_spki):
        found.append(Drift.MATERIAL)
    if seen.enabled != version.wanted_enabled:
        found.append(Drift.ENABLED)
    if seen.expires_on != version.wanted_expires_at:
        found.append(Drift.EXPIRY)
    if seen.starts_on != version.wanted_not_before:
        found.append(Drift.NOT_BEFORE)
    if version.operations and set(seen.operations) != set(version.operations):
        found.append(Drift.OPERATIONS)
    lost = console_tags(version).items() - seen.tags.items()
    if lost or (version.tags is not None and own_tags(seen.tags) != version.tags):
        found.append(Drift.TAGS)
    return found


def observe(group: KeyGroup, version: CloudVersion | None, seen: Seen) -> Observation:
    """Record what the vault shows of one version, with its differences.

    A version of others that was accepted stays so until it changes. The caller brings the transaction, and calls
    ``recount`` at its end. ``version`` is live in the vault, or was called missing.
    """
    flags = [str(flag) for flag in compare(version, seen)]
    values = {
        "version": version,
        "kid": seen.kid,
        "seen_at": now(),
        "is_present": True,
        "enabled": seen.enabled,
        "created_on": seen.created_on,
        "updated_on": seen.updated_on,
        "expires_on": seen.expires_on,
        "not_before": seen.starts_on,
        "operations": seen.operations,
        "tags": seen.tags,
        "flags": flags,
        "is_accepted": _is_still_accepted(group, version, seen),
    }
    if version is not None:
        lifecycle.record_seen(
            version=version,
            enabled=seen.enabled,
            expires_at=seen.expires_on,
            not_before=seen.starts_on,
            differs=bool(flags),
        )
    row, _made = Observation.objects.update_or_create(
        group=group, azure_version=seen.azure_version, defaults=values, create_defaults=values
    )
    return row


def _is_still_accepted(group: KeyGroup, version: CloudVersion | None, seen: Seen) -> bool:
    known = group.observations.filter(azure_version=seen.azure_version, is_accepted=True).first()
    if known is None or version is not None:
        return False
    before = (known.enabled, known.expires_on, known.not_before, set(known.operations), known.tags)
    return before == (seen.enabled, seen.expires_on, seen.starts_on, set(seen.operations), seen.tags)


def observe_missing(group: KeyGroup, version: CloudVersion) -> None:
    """Store that the vault does not hold a version. The caller brings the transaction."""
    values = {"version": version, "kid": version.kid, "seen_at": now(), "is_present": False, "flags": [Drift.MISSING]}
    Observation.objects.update_or_create(
        group=group, azure_version=version.azure_version, defaults=values, create_defaults=values
    )


def is_repairable(row: Observation) -> bool:
    """Return whether a job can set something back, or disable a version that was made outside this console."""
    if not row.is_present or not row.flags:
        return False
    if row.version_id is None:
        return bool(row.enabled)
    return not (set(row.flags) - REPAIRABLE) and bool(set(row.flags) - what_stays(row))


def is_disabling(version: CloudVersion) -> bool:
    """Return whether setting a version back to what is wanted ends its use: it is disabled, has expired, or is to begin later."""
    expires_at, not_before, moment = version.wanted_expires_at, version.wanted_not_before, now()
    has_expired = expires_at is not None and expires_at <= moment
    return not version.wanted_enabled or has_expired or (not_before is not None and not_before > moment)


def what_stays(row: Observation) -> set[Drift]:
    """Return the differences that no job can set back: the vault takes no expiry away (docs/azure.md#lifecycle)."""
    is_expiry_added = row.version is not None and row.version.wanted_expires_at is None and Drift.EXPIRY in row.flags
    return {Drift.EXPIRY} if is_expiry_added else set()


def why_it_stays(row: Observation) -> str:
    """Say what no job can set back, and what a person can do about it; "" when there is nothing of the kind."""
    if not what_stays(row):
        return ""
    return _("Azure can't take an expiry away again: accept it, or push a new key.")


def forget_others(group: KeyGroup, kept: Iterable[str]) -> None:
    """Delete the rows of versions that neither the vault nor this console has any more."""
    group.observations.exclude(azure_version__in=list(kept)).delete()


def recount(group: KeyGroup, *, is_compared: bool = False) -> int:
    """Count the versions that differ, and record the count on the group. Return it.

    ``is_compared``: all versions were just compared with the vault.
    """
    differing = [row for row in group.observations.all() if row.flags and not row.is_accepted]
    lifecycle.record_differences(group=group, differences=len(differing), is_compared=is_compared)
    return len(differing)
