"""How Resource Manager describes vaults, keys, managed HSMs, groups and subscriptions.

Owns these JSON forms. Must not authorize or look for anything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from azure_emulator.identity.clients import KEY_PERMISSIONS, SEED_TENANT, Client
from azure_emulator.keyvault.model import KeyRecord, KeyVersion
from azure_emulator.keyvault.vault import Vault
from azure_emulator.profiles import ManagedHsmProfile, SubscriptionProfile, VaultProfile, resource_id

if TYPE_CHECKING:
    from azure_emulator.state import State

PROVIDER = "Microsoft.KeyVault"


def metadata_document(base: str, audiences: tuple[str, ...], vault_suffix: str) -> dict[str, Any]:
    """What a command line client reads when it registers a private cloud."""
    return {
        "name": "AzureEmulator",
        "resourceManager": f"{base}/",
        "portal": base,
        "gallery": base,
        "graph": base,
        "graphAudience": "https://graph.microsoft.com/",
        "microsoftGraphResourceId": "https://graph.microsoft.com/",
        "batch": base,
        "media": base,
        "sqlManagement": base,
        "vmImageAliasDoc": base,
        "activeDirectoryDataLake": base,
        "authentication": {
            "loginEndpoint": base,
            "audiences": list(audiences),
            "tenant": SEED_TENANT,
            "identityProvider": "AAD",
        },
        "suffixes": {"keyVaultDns": vault_suffix.lstrip(".")},
    }


def subscription_json(profile: SubscriptionProfile) -> dict[str, Any]:
    """A subscription."""
    return {
        "id": f"/subscriptions/{profile.subscription_id}",
        "subscriptionId": profile.subscription_id,
        "tenantId": profile.tenant_id,
        "displayName": profile.name,
        "state": "Enabled",
        "authorizationSource": "RoleBased",
    }


def group_json(profile: VaultProfile | ManagedHsmProfile) -> dict[str, Any]:
    """The resource group of a resource."""
    return {
        "id": f"/subscriptions/{profile.subscription}/resourceGroups/{profile.resource_group}",
        "name": profile.resource_group,
        "type": "Microsoft.Resources/resourceGroups",
        "location": profile.location,
        "properties": {"provisioningState": "Succeeded"},
    }


def short_json(profile: VaultProfile | ManagedHsmProfile) -> dict[str, Any]:
    """A resource as generic listings show it."""
    kind = "vaults" if isinstance(profile, VaultProfile) else "managedHSMs"
    return {
        "id": resource_id(profile, kind),
        "name": profile.name,
        "type": f"{PROVIDER}/{kind}",
        "location": profile.location,
        "tags": {},
    }


def vault_json(state: State, profile: VaultProfile, base: str) -> dict[str, Any]:
    """A vault with its properties; what is off is left out where the service leaves it out."""
    properties: dict[str, Any] = {
        "sku": {"family": "A", "name": profile.sku},
        "tenantId": SEED_TENANT,
        "accessPolicies": [] if profile.rbac else [access_policy(client) for client in state.clients.values()],
        "enabledForDeployment": False,
        "enableSoftDelete": profile.retention_days > 0,
        "enableRbacAuthorization": profile.rbac,
        "vaultUri": vault_uri(state, profile, base),
        "provisioningState": "Succeeded",
        "publicNetworkAccess": "Enabled" if profile.public_network else "Disabled",
    }
    if profile.retention_days:
        properties["softDeleteRetentionInDays"] = profile.retention_days
    if profile.purge_protection:
        properties["enablePurgeProtection"] = True
    if profile.firewall:
        properties["networkAcls"] = {
            "bypass": "None",
            "defaultAction": "Deny",
            "ipRules": [{"value": rule if "/" in rule else f"{rule}/32"} for rule in profile.ip_rules],
            "virtualNetworkRules": [],
        }
    if profile.private_endpoints:
        properties["privateEndpointConnections"] = [endpoint_json(profile, name) for name in profile.private_endpoints]
    return {**short_json(profile), "properties": properties}


def access_policy(client: Client) -> dict[str, Any]:
    """What a vault with access policies grants to a client."""
    granted = [word for word in KEY_PERMISSIONS if word in client.permissions]
    return {
        "tenantId": client.tenant_id,
        "objectId": client.object_id,
        "permissions": {"keys": granted, "secrets": [], "certificates": []},
    }


def vault_uri(state: State, profile: VaultProfile, base: str) -> str:
    """The address this client can use: the host it came by, with the vault's own port."""
    host = base.removeprefix("https://")
    if host.split(":")[0] == state.options.cloud.manager:
        return f"https://{profile.name}{state.options.cloud.vault_suffix}/"
    return f"https://{re.sub(r':[0-9]+$', '', host)}:{profile.port}/"


def endpoint_json(profile: VaultProfile, name: str) -> dict[str, Any]:
    """A private endpoint connection of a vault."""
    group = f"/subscriptions/{profile.subscription}/resourceGroups/{profile.resource_group}"
    return {
        "id": f"{profile.resource_id}/privateEndpointConnections/{name}",
        "name": name,
        "type": f"{PROVIDER}/vaults/privateEndpointConnections",
        "etag": "",
        "properties": {
            "privateEndpoint": {"id": f"{group}/providers/Microsoft.Network/privateEndpoints/{name}"},
            "privateLinkServiceConnectionState": {"status": "Approved", "actionsRequired": "None"},
            "provisioningState": "Succeeded",
        },
    }


def managed_hsm_json(state: State, profile: ManagedHsmProfile) -> dict[str, Any]:
    """A managed HSM with its properties."""
    suffix = state.options.cloud.vault.replace("vault.", "managedhsm.", 1)
    properties: dict[str, Any] = {
        "tenantId": SEED_TENANT,
        "hsmUri": f"https://{profile.name}.{suffix}/",
        "enableSoftDelete": True,
        "softDeleteRetentionInDays": profile.retention_days,
        "enablePurgeProtection": profile.purge_protection,
        "initialAdminObjectIds": [client.object_id for client in state.clients.values()][:1],
        "provisioningState": "Succeeded",
        "statusMessage": "The Managed HSM is provisioned and ready to use.",
        "publicNetworkAccess": "Enabled" if profile.public_network else "Disabled",
    }
    return {**short_json(profile), "sku": {"family": "B", "name": "Standard_B1"}, "properties": properties}


def key_json(
    state: State, vault: Vault, record: KeyRecord, version: KeyVersion, base: str, tail: str
) -> dict[str, Any]:
    """A key, or one of its versions where ``tail`` names it, with all that Resource Manager tells."""
    described = short_key_json(state, vault, record, version, base, tail)
    uri = described["properties"]["keyUri"]
    properties: dict[str, Any] = {"kty": version.kty, "keyOps": list(version.key_ops)}
    if version.rsa_bits is not None:
        properties["keySize"] = version.rsa_bits
    if version.curve:
        properties["curveName"] = version.curve
    properties["keyUriWithVersion"] = f"{uri}/{version.version}"
    described["properties"] |= properties
    return described


def short_key_json(
    state: State, vault: Vault, record: KeyRecord, version: KeyVersion, base: str, tail: str
) -> dict[str, Any]:
    """A key as listings show it."""
    attributes: dict[str, Any] = {
        "enabled": version.enabled,
        "created": version.created,
        "updated": version.updated,
        "recoveryLevel": vault.recovery_level,
        "exportable": version.exportable,
    }
    attributes |= {name: value for name, value in (("nbf", version.nbf), ("exp", version.exp)) if value is not None}
    uri = vault_uri(state, vault.profile, base).rstrip("/")
    if ":" not in uri.removeprefix("https://"):
        # The service's answers include the port.
        uri = f"{uri}:443"
    kind = f"{PROVIDER}/vaults/keys/versions" if tail else f"{PROVIDER}/vaults/keys"
    return {
        "id": f"{vault.profile.resource_id}/keys/{record.name}{tail}",
        "name": version.version if tail else record.name,
        "type": kind,
        "location": vault.profile.location,
        "tags": dict(version.tags),
        "properties": {"attributes": attributes, "keyUri": f"{uri}/keys/{record.name}"},
    }
