"""Assignments of policies and roles, as Microsoft.Authorization lists them.

Owns what is derived from the vaults' policies and the clients' rights. Must not authorize
anybody.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from azure_emulator import azure_policy
from azure_emulator.identity.clients import KEY_PERMISSIONS, Client
from azure_emulator.profiles import VaultProfile

if TYPE_CHECKING:
    from azure_emulator.state import State

PROVIDER = "Microsoft.Authorization"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
CRYPTO_OFFICER = "14b46e9e-c2b7-41b4-b07b-48a6ebf60603"
CRYPTO_USER = "12338af0-0e69-4776-bea7-57ae8d297424"
ROLES = {READER: "Reader", CRYPTO_OFFICER: "Key Vault Crypto Officer", CRYPTO_USER: "Key Vault Crypto User"}


def is_in_scope(assigned: str, asked: str) -> bool:
    """Whether an assignment shows at a scope: it is there, above it or below it."""
    one, other = f"{assigned.lower()}/", f"{asked.lower()}/"
    return one.startswith(other) or other.startswith(one)


def policy_assignments(profiles: list[VaultProfile], scope: str) -> list[dict[str, Any]]:
    """The policies assigned to vaults within a scope."""
    return [
        policy_assignment(profile, assignment)
        for profile in profiles
        for assignment in profile.policies
        if is_in_scope(profile.resource_id, scope)
    ]


def policy_assignment(profile: VaultProfile, assignment: dict[str, Any]) -> dict[str, Any]:
    """One assignment of a built-in definition."""
    definition = azure_policy.DEFINITIONS[assignment["policy"]]
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{profile.resource_id}/{assignment['policy']}").hex[:24]
    parameters: dict[str, Any] = {"effect": {"value": assignment.get("effect", "deny").capitalize()}}
    if definition.parameter:
        parameters[definition.parameter] = {"value": assignment["value"]}
    return {
        "id": f"{profile.resource_id}/providers/{PROVIDER}/policyAssignments/{name}",
        "name": name,
        "type": f"{PROVIDER}/policyAssignments",
        "properties": {
            "displayName": definition.title,
            "policyDefinitionId": f"/providers/{PROVIDER}/policyDefinitions/{definition.identifier}",
            "scope": profile.resource_id,
            "notScopes": [],
            "parameters": parameters,
            "enforcementMode": "Default",
            "metadata": {},
        },
    }


def policy_definition(identifier: str) -> dict[str, Any] | None:
    """A built-in definition by its id."""
    for definition in azure_policy.DEFINITIONS.values():
        if definition.identifier == identifier.lower():
            return {
                "id": f"/providers/{PROVIDER}/policyDefinitions/{definition.identifier}",
                "name": definition.identifier,
                "type": f"{PROVIDER}/policyDefinitions",
                "properties": {
                    "displayName": definition.title,
                    "policyType": "BuiltIn",
                    "mode": "Microsoft.KeyVault.Data",
                },
            }
    return None


def role_assignments(state: State, subscription: str, scope: str, principal: str | None) -> list[dict[str, Any]]:
    """The roles the clients' rights amount to, in a scope and perhaps of one principal."""
    found = []
    for client in state.clients.values():
        if principal is not None and client.object_id != principal.lower():
            continue
        given = [(f"/subscriptions/{subscription}", READER)] if client.arm else []
        role = data_role(client)
        given += [
            (vault.profile.resource_id, role)
            for vault in state.vaults.values()
            if role and vault.profile.rbac and vault.profile.subscription == subscription
        ]
        found += [role_assignment(client, place, name) for place, name in given if is_in_scope(place, scope)]
    return found


def data_role(client: Client) -> str | None:
    """The built-in role that comes nearest to the client's key permissions."""
    if set(client.permissions) >= set(KEY_PERMISSIONS):
        return CRYPTO_OFFICER
    return CRYPTO_USER if client.permissions else None


def role_definitions(subscription: str) -> list[dict[str, Any]]:
    """The built-in roles that assignments name here."""
    return [
        {
            "id": f"/subscriptions/{subscription}/providers/{PROVIDER}/roleDefinitions/{identifier}",
            "name": identifier,
            "type": f"{PROVIDER}/roleDefinitions",
            "properties": {"roleName": name, "type": "BuiltInRole", "assignableScopes": ["/"]},
        }
        for identifier, name in ROLES.items()
    ]


def role_assignment(client: Client, scope: str, role: str) -> dict[str, Any]:
    """One role of one client."""
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{scope}/{role}/{client.object_id}"))
    subscription = "/".join(scope.split("/")[:3])
    return {
        "id": f"{scope}/providers/{PROVIDER}/roleAssignments/{name}",
        "name": name,
        "type": f"{PROVIDER}/roleAssignments",
        "properties": {
            "roleDefinitionId": f"{subscription}/providers/{PROVIDER}/roleDefinitions/{role}",
            "principalId": client.object_id,
            "principalType": "ServicePrincipal",
            "scope": scope,
        },
    }
