"""Permissions and network rules, with the refusals of both access models.

Owns the 403 texts of access policies, role assignments and network rules. Source:
docs/azure.md, "Permissions". Must not authenticate anybody.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from azure_emulator.keyvault.errors import ServiceError, forbidden
from azure_emulator.profiles import VaultProfile

# Permissions of an access policy whose data action is not just KIND/WORD/action.
DATA_ACTIONS = {
    "keys get": "keys/read",
    "keys list": "keys/read",
    "keys delete": "keys/delete",
    "keys wrapkey": "keys/wrap/action",
    "keys unwrapkey": "keys/unwrap/action",
    "keys getrotationpolicy": "keyrotationpolicies/read",
    "keys setrotationpolicy": "keyrotationpolicies/write",
    "secrets get": "secrets/getSecret/action",
    "secrets list": "secrets/readMetadata/action",
    "secrets set": "secrets/setSecret/action",
    "secrets delete": "secrets/delete",
    "certificates get": "certificates/read",
    "certificates list": "certificates/read",
    "certificates delete": "certificates/delete",
}


def caller_text(claims: dict[str, Any]) -> str:
    """The caller as refusals name it."""
    return f"appid={claims.get('appid')};oid={claims.get('oid')};numgroups=0;iss={claims.get('iss')}"


def check_network(profile: VaultProfile, claims: dict[str, Any], address: str) -> None:
    """Refuse callers that the vault's network rules keep out."""
    if not profile.public_network:
        raise forbidden(
            "Public network access is disabled and request is not from a trusted service nor via an approved private "
            f"link.\r\nCaller: {caller_text(claims)}\r\nVault: {profile.name};location={profile.location}",
            "ForbiddenByConnection",
        )
    if profile.firewall and not is_in_rules(address, profile.ip_rules):
        raise forbidden(
            "Client address is not authorized and caller is not a trusted service.\r\n"
            f"Client address: {address}\r\nCaller: {caller_text(claims)}\r\n"
            f"Vault: {profile.name};location={profile.location}",
            "ForbiddenByFirewall",
        )


def is_in_rules(address: str, rules: list[str]) -> bool:
    """Whether one of the firewall's rules, an address or a range, holds the caller."""
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(rule, strict=False) for rule in rules)


def refusal(
    permission: str, profile: VaultProfile, claims: dict[str, Any], name: str, kind: str = "keys"
) -> ServiceError:
    """The refusal of a client without the permission, as the vault's access model words it."""
    if profile.rbac:
        return by_role(permission, profile, claims, name, kind)
    return by_policy(permission, profile, claims, kind)


def by_policy(permission: str, profile: VaultProfile, claims: dict[str, Any], kind: str = "keys") -> ServiceError:
    """The refusal of a vault with access policies."""
    return forbidden(
        f"The user, group or application '{caller_text(claims)}' does not have {kind} {permission} permission on key vault "
        f"'{profile.name};location={profile.location}'. For help resolving this issue, please see "
        "https://go.microsoft.com/fwlink/?linkid=2125287",
        "AccessDenied",
    )


def by_role(permission: str, profile: VaultProfile, claims: dict[str, Any], name: str, kind: str) -> ServiceError:
    """The refusal of a vault with role assignments."""
    action = DATA_ACTIONS.get(f"{kind} {permission}", f"{kind}/{permission}/action")
    resource = profile.resource_id.lower() + (f"/{kind}/{name}" if name else "")
    caller = f"appid={claims.get('appid')};oid={claims.get('oid')};iss={claims.get('iss')}"
    lines = (
        "Caller is not authorized to perform action on resource.",
        "If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.",
        f"Caller: {caller}",
        f"Action: 'Microsoft.KeyVault/vaults/{action}'",
        f"Resource: '{resource}'",
        "Assignment: (not found)",
        "DenyAssignmentId: null",
        "DecisionReason: null",
        f"Vault: {profile.name};location={profile.location}",
    )
    return forbidden("\r\n".join(lines), "ForbiddenByRbac")
