"""Assignments of Azure's built-in policies on keys, as Resource Manager lists them (docs/azure.md#azure-policy).

Reads what was listed; asks nobody. Policies of other services and policies that somebody wrote are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cloudcreds.provider.vault_setup import PolicyAssignment, Rule
from kmes.core.stored_text import storable

# Built-in definitions: the rule, and the parameter that holds its value.
_DEFINITIONS: dict[str, tuple[Rule, str]] = {
    "152b15f7-8e1f-4c1f-ab71-8c010ba5dbc0": (Rule.EXPIRY_NEEDED, ""),
    "5ff38825-c5d8-47c5-b70e-069a21955146": (Rule.MINIMUM_DAYS, "minimumDaysBeforeExpiration"),
    "49a22571-d204-4c91-a7b6-09b1a586fbc9": (Rule.MAXIMUM_DAYS, "maximumValidityInDays"),
    "c26e4b24-cf98-4c67-b48b-5a25c4c69eb9": (Rule.MAXIMUM_AGE, "maximumValidityInDays"),
    "82067dbb-e53b-4e06-b631-546d197452d9": (Rule.MINIMUM_RSA_BITS, "minimumRSAKeySize"),
    "75c4f823-d65c-4f29-a733-01d0077fdbcb": (Rule.KEY_TYPES, "allowedKeyTypes"),
    "ff25f3c8-b739-4538-9d07-3d6d25cfb255": (Rule.CURVES, "allowedECNames"),
    "587c79fe-dd04-4a5e-9d0b-f89598c7261b": (Rule.HSM_ONLY, ""),
    "d8cf8476-a2ec-4916-896e-992351803c44": (Rule.ROTATION_SCHEDULED, "maximumDaysToRotate"),
}
_LISTS = frozenset({Rule.KEY_TYPES, Rule.CURVES})
_SUBSCRIPTION = "/subscriptions/"
MAX_TITLE = 160
# More days than a key lives and more bits than one has: a higher number means the same. The columns take 32,767.
MAX_NUMBER = 32_000
MAX_VALUES = 100


def on_vault(rows: Iterable[dict[str, Any]], resource_id: str) -> tuple[PolicyAssignment, ...]:
    """Return the assignments among these rows that concern the keys of a vault."""
    found = []
    for row in rows:
        described = row.get("properties")
        if isinstance(described, dict) and _applies(described, resource_id):
            assignment = _read(described)
            if assignment is not None:
                found.append(assignment)
    return tuple(found)


def _applies(described: dict[str, Any], resource_id: str) -> bool:
    """Return whether an assignment's scope holds the vault, and no exclusion does."""
    scope = str(described.get("scope") or "")
    excluded = described.get("notScopes")
    # What is listed for a subscription and lies in none was assigned to a management group above it.
    is_above = not scope.lower().startswith(_SUBSCRIPTION)
    return (is_above or _holds(scope, resource_id)) and not any(
        _holds(str(one), resource_id) for one in (excluded if isinstance(excluded, list) else [])
    )


def _holds(scope: str, resource_id: str) -> bool:
    return f"{resource_id.lower()}/".startswith(f"{scope.lower().rstrip('/')}/")


def _read(described: dict[str, Any]) -> PolicyAssignment | None:
    definition = str(described.get("policyDefinitionId") or "").lower()
    title = storable(str(described.get("displayName") or ""))[:MAX_TITLE]
    is_enforced = str(described.get("enforcementMode") or "Default").lower() == "default"
    if "/policysetdefinitions/" in definition:
        return PolicyAssignment(Rule.INITIATIVE, title, denies=False)
    known = _DEFINITIONS.get(definition.rpartition("/")[2])
    if known is None:
        return None
    rule, parameter = known
    # Each of these definitions audits unless told otherwise.
    effect = str(_parameter(described, "effect") or "Audit").lower()
    value = _value(rule, _parameter(described, parameter)) if parameter else None
    return PolicyAssignment(rule, title, denies=is_enforced and effect == "deny", value=value)


def _parameter(described: dict[str, Any], name: str) -> Any:
    parameters = described.get("parameters")
    given = parameters.get(name) if isinstance(parameters, dict) else None
    return given.get("value") if isinstance(given, dict) else None


def _value(rule: Rule, given: Any) -> int | list[str] | None:
    if rule in _LISTS:
        return [storable(str(one))[:MAX_TITLE] for one in given[:MAX_VALUES]] if isinstance(given, list) else None
    try:
        return max(0, min(int(given), MAX_NUMBER))
    except (TypeError, ValueError, OverflowError):
        # Neither NaN nor Infinity is a number that a policy has, yet Python's reader of JSON takes them.
        return None
