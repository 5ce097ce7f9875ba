"""What was read of a group's Azure key beside its versions: its rotation policy, and the HSM platform of its versions.

The only writer of ``KeyReading``. Each function that writes belongs into the caller's transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

from django.utils.translation import gettext as _

from cloudcreds.provider.types import RotationPolicy, VersionInfo
from keygroups.models import KeyGroup, KeyReading
from kmes.core.clock import now

# Azure's own default, in a policy that names no time.
NOTIFY_BEFORE = "P30D"


def find_policy(group: KeyGroup) -> RotationPolicy | None:
    """Return the rotation policy of the group's Azure key as last read; None while it is unknown."""
    row = KeyReading.objects.filter(group=group).first()
    return policy_of(row) if row else None


def policy_of(row: KeyReading) -> RotationPolicy | None:
    """Return the rotation policy that a reading holds; None when it could not be read."""
    return RotationPolicy(**row.rotation) if row.rotation is not None else None


def without_rotation(policy: RotationPolicy) -> RotationPolicy:
    """Return the policy that only notifies, in place of this one."""
    return RotationPolicy(
        notify_before_expiry=policy.notify_before_expiry or NOTIFY_BEFORE, expires_after=policy.expires_after
    )


def describe(policy: RotationPolicy) -> str:
    """Return a rotation policy in words; durations stay in the cloud's own form."""
    parts = []
    if policy.rotate_after_create:
        parts.append(_("Rotate %(after)s after creation") % {"after": policy.rotate_after_create})
    if policy.rotate_before_expiry:
        parts.append(_("Rotate %(before)s before expiry") % {"before": policy.rotate_before_expiry})
    if policy.notify_before_expiry:
        parts.append(_("Notify %(before)s before expiry") % {"before": policy.notify_before_expiry})
    return ", ".join(parts) or _("no action")


def record_reading(
    group: KeyGroup, policy: RotationPolicy | None, versions: Iterable[VersionInfo], *, problem: str = ""
) -> bool:
    """Record what a comparison read. Return whether the policy rotates the key and did not before.

    ``policy`` None: it could not be read, and ``problem`` says why.
    """
    before = find_policy(group)
    KeyReading.objects.update_or_create(
        group=group,
        defaults={
            "read_at": now(),
            "rotation": asdict(policy) if policy else None,
            "rotation_problem": problem,
            "platforms": dict(Counter(version.hsm_platform for version in versions)),
        },
    )
    return policy is not None and policy.rotates and not (before is not None and before.rotates)


def record_policy(group: KeyGroup, policy: RotationPolicy) -> None:
    """Record the rotation policy that the key has now."""
    row = KeyReading.objects.filter(group=group)
    values = {"read_at": now(), "rotation": asdict(policy), "rotation_problem": ""}
    if not row.update(**values):
        KeyReading.objects.create(group=group, **values)
