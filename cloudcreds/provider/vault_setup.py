"""How a vault is set up in its cloud, as the cloud's management service tells: plain data, no SDK type."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """What a policy of the cloud looks at in a new key version. Rows hold the values."""

    # The version must have an expiry.
    EXPIRY_NEEDED = "expiry_needed"
    # It must live for more than a number of days.
    MINIMUM_DAYS = "minimum_days"
    # It must not be valid for longer than a number of days.
    MAXIMUM_DAYS = "maximum_days"
    # It must not have been active for longer than a number of days.
    MAXIMUM_AGE = "maximum_age"
    MINIMUM_RSA_BITS = "minimum_rsa_bits"
    # A list of Azure's key types.
    KEY_TYPES = "key_types"
    # A list of Azure's curve names.
    CURVES = "curves"
    HSM_ONLY = "hsm_only"
    # The key must have a rotation policy that rotates it in the cloud.
    ROTATION_SCHEDULED = "rotation_scheduled"
    # A set of policies whose members were not read.
    INITIATIVE = "initiative"


@dataclass(frozen=True)
class PolicyAssignment:
    """One policy that is assigned to a vault. ``denies``: it refuses what does not comply, and not only reports it."""

    rule: str
    title: str
    denies: bool
    # The number or the list that the rule compares with; None where it needs none, or where it could not be read.
    value: int | list[str] | None = None


@dataclass(frozen=True)
class VaultSetup:
    """What the management service tells of a vault beside its keys.

    Attributes:
        access_model: one of ``choices.AccessModel``.
        public_access: whether the vault answers on a public address at all.
        firewall: whether it answers there to chosen addresses and networks only.
        private_endpoints: how many approved private endpoints it has.
        policies: the policies on its keys; None when they could not be read.

    """

    access_model: str
    public_access: bool
    firewall: bool
    private_endpoints: int
    policies: tuple[PolicyAssignment, ...] | None
