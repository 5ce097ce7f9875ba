"""The tree of paths below one subscription: groups, vaults, managed HSMs, assignments.

Owns which path leads to which description. Must not authorize.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from azure_emulator.arm import authorization, resources
from azure_emulator.arm.errors import ArmError, resource_not_found
from azure_emulator.arm.names import name_availability
from azure_emulator.http_request import HttpRequest
from azure_emulator.keyvault.vault import Vault
from azure_emulator.profiles import ManagedHsmProfile, SubscriptionProfile, VaultProfile

if TYPE_CHECKING:
    from azure_emulator.state import State

KEY_VAULT = "microsoft.keyvault"
EMPTY: dict[str, Any] = {"value": []}
PRINCIPAL_FILTER = re.compile(r"(?:principalId\s+eq|assignedTo\()\s*'([^']*)'", re.IGNORECASE)
TYPE_FILTER = re.compile(r"resourceType\s+eq\s+'([^']*)'", re.IGNORECASE)


def listing(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """One page with everything."""
    return {"value": entries}


class SubscriptionTree:
    """Finds what a path below one subscription describes, for one request."""

    def __init__(self, state: State, subscription: SubscriptionProfile, request: HttpRequest) -> None:
        self._state = state
        self._subscription = subscription
        self._request = request
        own = subscription.subscription_id
        self._vaults = [vault for vault in state.vaults.values() if vault.profile.subscription == own]
        self._managed_hsms = [each for each in state.managed_hsms.values() if each.subscription == own]

    def find(self, words: list[str]) -> dict[str, Any] | None:
        """The description at a path in lower case; None when nothing is there."""
        match words:
            case []:
                return resources.subscription_json(self._subscription)
            case ["resources"]:
                return self._resources(self._all())
            case [*_, "providers", "microsoft.authorization", "policyassignments"]:
                profiles = [vault.profile for vault in self._vaults]
                return listing(authorization.policy_assignments(profiles, self._scope()))
            case [*_, "providers", "microsoft.authorization", "roleassignments"]:
                return self._role_assignments()
            case [*_, "providers", "microsoft.authorization", "roledefinitions"]:
                return listing(authorization.role_definitions(self._subscription.subscription_id))
            case ["providers", provider, *rest] if provider == KEY_VAULT:
                return self._of_subscription(rest)
            case ["resourcegroups"]:
                return listing(list({each.resource_group: resources.group_json(each) for each in self._all()}.values()))
            case ["resourcegroups", group, *rest]:
                return self._of_group(group, rest)
        return None

    def _all(self) -> list[VaultProfile | ManagedHsmProfile]:
        return [*(vault.profile for vault in self._vaults), *self._managed_hsms]

    def _scope(self) -> str:
        """What stands before the last provider in the path as the client wrote it."""
        segments = self._request.segments
        return "/" + "/".join(segments[: len(segments) - 1 - [s.lower() for s in segments[::-1]].index("providers")])

    def _role_assignments(self) -> dict[str, Any]:
        wanted = PRINCIPAL_FILTER.search(self._request.query.get("$filter", ""))
        principal = wanted.group(1) if wanted else None
        own = self._subscription.subscription_id
        return listing(authorization.role_assignments(self._state, own, self._scope(), principal))

    def _resources(self, profiles: list[VaultProfile | ManagedHsmProfile]) -> dict[str, Any]:
        wanted = [kind.lower() for kind in TYPE_FILTER.findall(self._request.query.get("$filter", ""))]
        shown = [resources.short_json(profile) for profile in profiles]
        return listing([each for each in shown if not wanted or each["type"].lower() in wanted])

    def _of_subscription(self, words: list[str]) -> dict[str, Any] | None:
        match words:
            case ["vaults"]:
                return listing([self._vault_json(vault) for vault in self._vaults])
            case ["managedhsms"]:
                return listing([resources.managed_hsm_json(self._state, each) for each in self._managed_hsms])
            case ["deletedvaults" | "deletedmanagedhsms"]:
                return EMPTY
            case ["locations", _, "deletedvaults", _]:
                name = self._request.segments[7]
                raise ArmError(404, "DeletedVaultNotFound", f"The specified deleted vault '{name}' does not exist.")
            case ["checknameavailability"]:
                return name_availability(self._request.body, self._state.vaults, "vault")
            case ["checkmhsmnameavailability"]:
                return name_availability(self._request.body, self._state.managed_hsms, "managed HSM")
        return None

    def _of_group(self, group: str, words: list[str]) -> dict[str, Any] | None:
        inside = [profile for profile in self._all() if profile.resource_group.lower() == group]
        if not inside:
            name = self._request.segments[3]
            raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")
        match words:
            case []:
                return resources.group_json(inside[0])
            case ["resources"]:
                return self._resources(inside)
            case ["providers", provider, "vaults"] if provider == KEY_VAULT:
                return listing([self._vault_json(vault) for vault in self._vaults if vault.profile in inside])
            case ["providers", provider, "vaults", name, *rest] if provider == KEY_VAULT:
                for vault in self._vaults:
                    if vault.profile in inside and vault.profile.name.lower() == name:
                        return self._of_vault(vault, rest)
                raise resource_not_found("vaults", self._request.segments[7], self._request.segments[3])
            case ["providers", provider, "managedhsms", *rest] if provider == KEY_VAULT:
                hsms = [each for each in inside if isinstance(each, ManagedHsmProfile)]
                return self._of_managed_hsms(hsms, rest)
        return None

    def _of_managed_hsms(self, profiles: list[ManagedHsmProfile], words: list[str]) -> dict[str, Any] | None:
        match words:
            case []:
                return listing([resources.managed_hsm_json(self._state, each) for each in profiles])
            case [name]:
                for profile in profiles:
                    if profile.name.lower() == name:
                        return resources.managed_hsm_json(self._state, profile)
                raise resource_not_found("managedHSMs", self._request.segments[7], self._request.segments[3])
            case [_, "keys" | "privateendpointconnections" | "privatelinkresources" | "regions"]:
                return EMPTY
        return None

    def _vault_json(self, vault: Vault) -> dict[str, Any]:
        return resources.vault_json(self._state, vault.profile, self._request.base)

    def _of_vault(self, vault: Vault, words: list[str]) -> dict[str, Any] | None:
        profile = vault.profile
        match words:
            case []:
                return self._vault_json(vault)
            case ["privateendpointconnections"]:
                return listing([resources.endpoint_json(profile, name) for name in profile.private_endpoints])
            case ["privateendpointconnections", name]:
                found = [each for each in profile.private_endpoints if each.lower() == name]
                return resources.endpoint_json(profile, found[0]) if found else None
            case ["privatelinkresources"]:
                return EMPTY
            case ["keys", *rest]:
                return self._keys(vault, rest)
        return None

    def _keys(self, vault: Vault, words: list[str]) -> dict[str, Any] | None:
        state, base = self._state, self._request.base
        if not words:
            records = vault.live_records()
            return listing([resources.short_key_json(state, vault, each, each.current(), base, "") for each in records])
        record = vault.find_live(words[0])
        if record is None:
            return None
        tails = {name: f"/versions/{name}" for name in sorted(record.versions)}
        match words[1:]:
            case []:
                return resources.key_json(state, vault, record, record.current(), base, "")
            case ["versions"]:
                shown = [
                    resources.short_key_json(state, vault, record, record.versions[name], base, tail)
                    for name, tail in tails.items()
                ]
                return listing(shown)
            case ["versions", name] if name in tails:
                return resources.key_json(state, vault, record, record.versions[name], base, tails[name])
        return None
