"""Rotation policies: validation, the default one, and the expiry they give.

Owns the policy's form (ISO 8601 durations of years, months, weeks and days) and when it
makes a rotation due. Must not make versions.
"""

from __future__ import annotations

import re
from typing import Any

from azure_emulator.keyvault import errors
from azure_emulator.keyvault.call import Call
from azure_emulator.keyvault.model import KeyRecord

NUMBER = "([0-9]{1,7})"
DURATION = re.compile(rf"^P(?=[0-9])(?:{NUMBER}Y)?(?:{NUMBER}M)?(?:{NUMBER}W)?(?:{NUMBER}D)?\Z")
# A version that expires so late has a date before the year 10000.
MAX_DAYS = 2_900_000
SECONDS_PER_DAY = 86_400
MIN_EXPIRY_DAYS = 28
MIN_TRIGGER_DAYS = 7
ACTIONS = {"rotate": "Rotate", "notify": "Notify"}
TRIGGERS = ("timeAfterCreate", "timeBeforeExpiry")
DEFAULT_NOTIFY = {"trigger": {"timeBeforeExpiry": "P30D"}, "action": {"type": "Notify"}}


def duration_days(text: Any, what: str) -> int:
    """An ISO 8601 duration in days, months counted as 30 and years as 365."""
    found = DURATION.match(text) if isinstance(text, str) else None
    if found is None:
        raise errors.bad_parameter(f"The property '{what}' must be an ISO 8601 duration such as P90D.")
    years, months, weeks, days = (int(part or 0) for part in found.groups())
    total = years * 365 + months * 30 + weeks * 7 + days
    if total > MAX_DAYS:
        raise errors.bad_parameter(f"The property '{what}' is too long.")
    return total


def expiry_after(policy: dict[str, Any] | None, now: int) -> int | None:
    """When a version made now expires under the policy."""
    text = (policy or {}).get("attributes", {}).get("expiryTime")
    return now + duration_days(text, "expiryTime") * SECONDS_PER_DAY if text else None


def read_action(entry: Any, expiry_days: int | None) -> dict[str, Any]:
    """One lifetime action, checked."""
    trigger = entry.get("trigger") if isinstance(entry, dict) else None
    action = entry.get("action") if isinstance(entry, dict) else None
    if not isinstance(trigger, dict) or not isinstance(action, dict):
        raise errors.bad_parameter("Each lifetime action needs a trigger and an action.")
    kind = ACTIONS.get(str(action.get("type")).lower())
    if kind is None:
        raise errors.bad_parameter(
            f"Invalid lifetime action type: {action.get('type')}. Supported values are Rotate, Notify"
        )
    given = {name: trigger[name] for name in TRIGGERS if trigger.get(name) is not None}
    if len(given) != 1:
        raise errors.bad_parameter("A trigger needs exactly one of timeAfterCreate and timeBeforeExpiry.")
    name, text = next(iter(given.items()))
    days = duration_days(text, name)
    if kind == "Notify" and name != "timeBeforeExpiry":
        raise errors.bad_parameter("A Notify action can only use timeBeforeExpiry.")
    if kind == "Rotate" and days < MIN_TRIGGER_DAYS:
        raise errors.bad_parameter(
            f"A Rotate action must be at least {MIN_TRIGGER_DAYS} days after creation or before expiry."
        )
    if kind == "Rotate" and name == "timeBeforeExpiry" and expiry_days is None:
        raise errors.bad_parameter("A Rotate action with timeBeforeExpiry needs an expiryTime.")
    if expiry_days is not None and days >= expiry_days:
        raise errors.bad_parameter(f"The trigger {text} does not fit within the expiryTime.")
    return {"trigger": {name: text}, "action": {"type": kind}}


def read_policy(body: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """The actions and the expiry time of a policy, checked."""
    described = {} if body.get("attributes") is None else body["attributes"]
    actions = [] if body.get("lifetimeActions") is None else body["lifetimeActions"]
    if not isinstance(described, dict) or not isinstance(actions, list):
        raise errors.bad_parameter("The rotation policy is malformed.")
    expiry = None if described.get("expiryTime") == "" else described.get("expiryTime")
    expiry_days = duration_days(expiry, "expiryTime") if expiry is not None else None
    if expiry_days is not None and expiry_days < MIN_EXPIRY_DAYS:
        raise errors.bad_parameter(f"The property 'expiryTime' must be at least {MIN_EXPIRY_DAYS} days.")
    chosen = [read_action(entry, expiry_days) for entry in actions]
    kinds = [entry["action"]["type"] for entry in chosen]
    if len(set(kinds)) != len(kinds):
        raise errors.bad_parameter("Each lifetime action type can appear once.")
    if "Notify" not in kinds:
        # The service adds its default notification.
        chosen.append({"trigger": dict(DEFAULT_NOTIFY["trigger"]), "action": dict(DEFAULT_NOTIFY["action"])})
    return chosen, expiry


def is_due(record: KeyRecord, now: int) -> bool:
    """Whether a Rotate action of the policy has come due for the current version."""
    current = record.current()
    for entry in (record.policy or {}).get("lifetimeActions", []):
        if entry["action"]["type"] != "Rotate":
            continue
        (name, text), *_ = entry["trigger"].items()
        wait = duration_days(text, name) * SECONDS_PER_DAY
        if name == "timeAfterCreate" and current.created + wait <= now:
            return True
        if name == "timeBeforeExpiry" and current.exp is not None and current.exp - wait <= now:
            return True
    return False


def shown_policy(call: Call, record: KeyRecord) -> dict[str, Any]:
    """The policy as answers show it: members that were never set are left out, never null."""
    if record.policy is None:
        # The default policy has no id (docs/azure.md, "Keys API").
        return {"lifetimeActions": [DEFAULT_NOTIFY], "attributes": None}
    described = {name: value for name, value in record.policy["attributes"].items() if value is not None}
    return {
        "id": f"{call.base}/keys/{record.name}/rotationpolicy",
        "lifetimeActions": record.policy["lifetimeActions"],
        "attributes": described,
    }


async def get_policy(call: Call) -> dict[str, Any]:
    """The key's policy, or the default one."""
    return shown_policy(call, call.vault.live(call.name))


async def put_policy(call: Call) -> dict[str, Any]:
    """Replace the key's policy."""
    actions, expiry = read_policy(call.body())
    call.vault.check_settled(call.name)
    record = call.vault.live(call.name)
    now = int(call.vault.now())
    created = (record.policy or {}).get("attributes", {}).get("created", now)
    described = {"expiryTime": expiry, "created": created, "updated": now}
    record.policy = {"lifetimeActions": actions, "attributes": described}
    call.vault.save(record)
    return shown_policy(call, record)
