"""Whether the policies of a group's vault allow its keys, by what was last read of them. Asks no cloud."""

from __future__ import annotations

from cloudcreds.key_rules import assignments_of, rules_of
from keygroups.models import KeyGroup
from keygroups.rotation_schedule import expiry
from kmes.core.clock import now


def why_refused(group: KeyGroup) -> list[str]:
    """Say why the vault would refuse a key of the group, rule by rule; empty when no known policy does."""
    assignments = assignments_of(group.vault)
    if not assignments:
        return []
    moment = now()
    ends = expiry(moment, group.valid_for, group.valid_unit)
    return rules_of(assignments).why_not(group.spec, ends - moment if ends else None)
