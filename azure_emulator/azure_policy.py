"""Azure Policy for the keys of a vault: the built-in definitions and what each denies.

Owns definitions, the check of assignments and the decision about a new key version.
Source: docs/azure.md, "Azure Policy". Must not write the refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

SECONDS_PER_DAY = 86_400
EFFECTS = ("deny", "audit", "disabled")
KEY_TYPES = ("RSA", "RSA-HSM", "EC", "EC-HSM")
CURVES = ("P-256", "P-256K", "P-384", "P-521")


class BadPolicy(Exception):
    """The assignment is not possible; the text says why."""


@dataclass(frozen=True)
class NewVersion:
    """What a policy looks at in a version that is about to be made."""

    kty: str
    rsa_bits: int | None
    curve: str | None
    created: int
    nbf: int | None
    exp: int | None


@dataclass(frozen=True)
class Definition:
    """A built-in definition: its parameter in an assignment, and whether it denies a version."""

    identifier: str
    title: str
    parameter: str | None
    kind: type[int | list[str]] | None
    denies: Callable[[NewVersion, Any], bool]


def expires_too_soon(version: NewVersion, days: int) -> bool:
    """A version must live for more than the given number of days."""
    return version.exp is not None and version.exp - version.created <= days * SECONDS_PER_DAY


def lives_too_long(version: NewVersion, days: int) -> bool:
    """A version with an expiry must not be valid for longer than the given number of days."""
    return version.exp is not None and version.exp - version.created > days * SECONDS_PER_DAY


def is_active_too_long(version: NewVersion, days: int) -> bool:
    """A version counts as active from its not-before date on, or from its creation."""
    start = version.nbf if version.nbf is not None else version.created
    return version.created - start > days * SECONDS_PER_DAY


def never_denies(_version: NewVersion, _value: Any) -> bool:
    """A definition that has no effect but audit."""
    return False


DEFINITIONS: dict[str, Definition] = {
    "expiration_required": Definition(
        "152b15f7-8e1f-4c1f-ab71-8c010ba5dbc0", "Key Vault keys should have an expiration date", None, None,
        lambda version, _: version.exp is None,
    ),
    "minimum_days_before_expiration": Definition(
        "5ff38825-c5d8-47c5-b70e-069a21955146",
        "Keys should have more than the specified number of days before expiration", "minimumDaysBeforeExpiration", int,
        expires_too_soon,
    ),
    "maximum_validity": Definition(
        "49a22571-d204-4c91-a7b6-09b1a586fbc9", "Keys should have the specified maximum validity period",
        "maximumValidityInDays", int, lives_too_long,
    ),
    "maximum_active_days": Definition(
        "c26e4b24-cf98-4c67-b48b-5a25c4c69eb9",
        "Keys should not be active for longer than the specified number of days", "maximumValidityInDays", int,
        is_active_too_long,
    ),
    "minimum_rsa_size": Definition(
        "82067dbb-e53b-4e06-b631-546d197452d9",
        "Keys using RSA cryptography should have a specified minimum key size", "minimumRSAKeySize", int,
        lambda version, bits: version.rsa_bits is not None and version.rsa_bits < bits,
    ),
    "allowed_key_types": Definition(
        "75c4f823-d65c-4f29-a733-01d0077fdbcb", "Keys should be the specified cryptographic type RSA or EC",
        "allowedKeyTypes", list, lambda version, types: version.kty not in types,
    ),
    "allowed_curves": Definition(
        "ff25f3c8-b739-4538-9d07-3d6d25cfb255",
        "Keys using elliptic curve cryptography should have the specified curve names", "allowedECNames", list,
        lambda version, curves: version.curve is not None and version.curve not in curves,
    ),
    "hsm_backed": Definition(
        "587c79fe-dd04-4a5e-9d0b-f89598c7261b", "Keys should be backed by a hardware security module (HSM)", None, None,
        lambda version, _: not version.kty.endswith("-HSM"),
    ),
    "rotation_scheduled": Definition(
        "d8cf8476-a2ec-4916-896e-992351803c44",
        "Keys should have a rotation policy ensuring that their rotation is scheduled within the specified number of days "
        "after creation.", "maximumDaysToRotate", int, never_denies,
    ),
}  # fmt: skip


def check(assignments: Sequence[Any]) -> None:
    """Refuse assignments that Azure could not have."""
    for assignment in assignments:
        if not isinstance(assignment, dict) or not set(assignment) <= {"policy", "effect", "value"}:
            raise BadPolicy("A policy assignment has 'policy', 'effect' and 'value'.")
        definition = DEFINITIONS.get(str(assignment.get("policy")))
        if definition is None:
            raise BadPolicy(f"There is no policy '{assignment.get('policy')}'; known are {', '.join(DEFINITIONS)}.")
        if assignment.get("effect", "deny") not in EFFECTS:
            raise BadPolicy(f"'effect' is one of {', '.join(EFFECTS)}.")
        value = assignment.get("value")
        if definition.kind is not None and (not isinstance(value, definition.kind) or isinstance(value, bool)):
            raise BadPolicy(f"The policy '{assignment['policy']}' needs a 'value' for {definition.parameter}.")


def find_denial(assignments: Sequence[dict[str, Any]], version: NewVersion) -> Definition | None:
    """The first assigned definition that denies this version."""
    for assignment in assignments:
        definition = DEFINITIONS[assignment["policy"]]
        if assignment.get("effect", "deny") == "deny" and definition.denies(version, assignment.get("value")):
            return definition
    return None
