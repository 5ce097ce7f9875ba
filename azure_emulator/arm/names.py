"""Checks whether a name for a vault or managed HSM is free.

Owns these answers. Must not authorize.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from azure_emulator import json_input
from azure_emulator.arm.errors import ArmError
from azure_emulator.profiles import VAULT_NAME


def name_availability(raw: bytes, taken: Collection[str], kind: str) -> dict[str, Any]:
    """Whether the name in the body is valid and free."""
    try:
        body = json_input.parse(raw)
    except ValueError:
        body = None
    name = body.get("name") if isinstance(body, dict) else None
    if not isinstance(name, str):
        raise ArmError(400, "BadRequest", f"The request must name a {kind}.")
    if not VAULT_NAME.match(name):
        message = f"The {kind} name '{name}' is invalid."
        return {"nameAvailable": False, "reason": "AccountNameInvalid", "message": message}
    if name.lower() in taken:
        message = (
            f"The {kind} name '{name}' is already in use. {kind.capitalize()} names are globally unique so it is possible "
            "that the name is already taken."
        )
        return {"nameAvailable": False, "reason": "AlreadyExists", "message": message}
    return {"nameAvailable": True}
