"""Whether the policies of a group's vault allow its keys, by what was last read of them. Asks no cloud."""

from __future__ import annotations

from cloudcreds.key_rules import assignments_of, rules_of
from cloudcreds.models import KeyVault
from hsm.types import KeySpec
from keygroups.models import KeyGroup
from keygroups.rotation_schedule import expiry
from kmes.core.clock import now


def why_refused(group: KeyGroup) -> list[str]:
    """Say why the vault would refuse a key of the group, rule by rule; empty when no known policy does."""
    return why_vault_refuses(group.vault, group.spec, group.valid_for, group.valid_unit)


def why_vault_refuses(vault: KeyVault, spec: KeySpec, valid_for: int | None, valid_unit: str) -> list[str]:
    """Say why a vault would refuse a key of this type that is valid for this long (None: without end)."""
    assignments = assignments_of(vault)
    if not assignments:
        return []
    moment = now()
    ends = expiry(moment, valid_for, valid_unit)
    return rules_of(assignments).why_not(spec, ends - moment if ends else None)
