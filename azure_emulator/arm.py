"""The control plane: subscriptions, resource groups and vault descriptions.

Owns the read-only part of management.azure.com that a vault listing needs, and ARM's
own error form. Must not reach into keys.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from azure_emulator.http_request import HttpRequest
from azure_emulator.identity.clients import KEY_PERMISSIONS, SEED_SUBSCRIPTION, SEED_TENANT, Client
from azure_emulator.identity.tokens import ARM_AUDIENCES, TokenRefused
from azure_emulator.options import VAULT_NAME, VaultProfile
from azure_emulator.responses import json_response

if TYPE_CHECKING:
    from azure_emulator.state import State

PROVIDER = "Microsoft.KeyVault"
API_VERSION = re.compile(r"^20\d\d-\d\d-\d\d(-preview)?$")


class ArmError(Exception):
    """One refused control-plane request."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


def metadata_endpoints(base: str) -> dict[str, Any]:
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
            "audiences": [ARM_AUDIENCES[0], ARM_AUDIENCES[1]],
            "tenant": SEED_TENANT,
            "identityProvider": "AAD",
        },
        "suffixes": {"keyVaultDns": "vault.azure.net"},
    }


class ResourceManager:
    """Answers the control plane from the vault profiles of the state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def answer(self, request: HttpRequest) -> Response:
        """Answer one request, refusals included, with ARM's headers."""
        common = {
            "cache-control": "no-cache",
            "pragma": "no-cache",
            "expires": "-1",
            "x-ms-request-id": str(uuid.uuid4()),
            "x-ms-correlation-request-id": str(uuid.uuid4()),
            "strict-transport-security": "max-age=31536000; includeSubDomains",
            "x-content-type-options": "nosniff",
        }
        try:
            payload = self._route(request)
        except ArmError as error:
            failure = {"error": {"code": error.code, "message": error.message}}
            return json_response(failure, error.status, {**common, **error.headers})
        return json_response(payload, 200, common)

    def _route(self, request: HttpRequest) -> dict[str, Any]:
        method, segments, query, base = request.method, request.segments, request.query, request.base
        words = [segment.lower() for segment in segments]
        if words == ["metadata", "endpoints"]:
            return metadata_endpoints(base)
        client = self._authenticate(request.headers, base)
        if "api-version" not in {name.lower() for name in query}:
            raise ArmError(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        if not API_VERSION.match(query.get("api-version", "")):
            raise ArmError(
                400, "InvalidApiVersionParameter", f"The api-version '{query.get('api-version', '')}' is invalid."
            )
        checks_name = words[:1] == ["subscriptions"] and words[2:] == [
            "providers",
            PROVIDER.lower(),
            "checknameavailability",
        ]
        if method not in (("POST",) if checks_name else ("GET", "HEAD")):
            raise ArmError(
                405, "MethodNotAllowed", f"The stand-in answers no {method} here; vaults are added on its command line."
            )
        if words == ["subscriptions"]:
            return {"value": [self._subscription()] if client.arm else []}
        if words == ["tenants"]:
            return {"value": [{"id": f"/tenants/{SEED_TENANT}", "tenantId": SEED_TENANT, "displayName": "Emulator"}]}
        if words[:1] != ["subscriptions"] or len(words) < 2:
            raise ArmError(404, "InvalidResourceType", "The resource type could not be found.")
        self._authorise(client, segments, words)
        if checks_name:
            return self._name_availability(request.body)
        return self._in_subscription(segments, words[2:], query, base)

    def _authenticate(self, headers: Mapping[str, str], base: str) -> Client:
        challenge = {"www-authenticate": f'Bearer authorization_uri="{base}/{SEED_TENANT}", error="invalid_token"'}
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise ArmError(
                401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.", challenge
            )
        try:
            claims = self._state.signer.verify(token.strip())
        except TokenRefused as error:
            code = "ExpiredAuthenticationToken" if "Expired" in error.reason else "InvalidAuthenticationToken"
            raise ArmError(401, code, "The access token is invalid or has expired.", challenge) from error
        if str(claims.get("aud", "")).rstrip("/") not in ARM_AUDIENCES:
            raise ArmError(
                401, "InvalidAuthenticationTokenAudience",
                f"The access token has been obtained for wrong audience or resource '{claims.get('aud')}'. It should exactly "
                f"match with one of the allowed audiences '{ARM_AUDIENCES[1]}/','{ARM_AUDIENCES[0]}/'.", challenge,
            )  # fmt: skip
        client = self._state.clients.get(str(claims.get("appid", "")).lower())
        if client is None:
            raise ArmError(
                401, "InvalidAuthenticationToken", "The access token is from an unknown application.", challenge
            )
        return client

    def _authorise(self, client: Client, segments: list[str], words: list[str]) -> None:
        if words[1] != SEED_SUBSCRIPTION or client.tenant_id.lower() != SEED_TENANT:
            raise ArmError(404, "SubscriptionNotFound", f"The subscription '{segments[1]}' could not be found.")
        if not client.arm:
            raise ArmError(
                403, "AuthorizationFailed",
                f"The client '{client.client_id}' with object id '{client.object_id}' does not have authorization to perform "
                f"action '{PROVIDER}/vaults/read' over scope '/{'/'.join(segments)}' or the scope is invalid. If access was "
                "recently granted, please refresh your credentials.",
            )  # fmt: skip

    def _in_subscription(
        self, segments: list[str], words: list[str], query: Mapping[str, str], base: str
    ) -> dict[str, Any]:
        provider = PROVIDER.lower()
        profiles = [vault.profile for vault in self._state.vaults.values()]
        if not words:
            return self._subscription()
        if words == ["resources"]:
            wanted = re.findall(r"resourceType\s+eq\s+'([^']*)'", query.get("$filter", ""), re.IGNORECASE)
            shown = not wanted or f"{provider}/vaults" in [kind.lower() for kind in wanted]
            return {"value": [self._short(profile) for profile in profiles] if shown else []}
        if words == ["providers", provider, "vaults"]:
            return {"value": [self._vault(profile, base) for profile in profiles]}
        if words == ["providers", provider, "deletedvaults"]:
            return {"value": []}
        if words[0] == "resourcegroups":
            return self._in_group(segments, words, profiles, base)
        raise ArmError(404, "ResourceNotFound", f"The Resource '/{'/'.join(segments)}' was not found.")

    def _in_group(
        self, segments: list[str], words: list[str], profiles: list[VaultProfile], base: str
    ) -> dict[str, Any]:
        groups = {profile.resource_group.lower(): profile for profile in profiles}
        if len(words) == 1:
            return {"value": [self._group(profile) for profile in groups.values()]}
        if words[1] not in groups:
            raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{segments[3]}' could not be found.")
        inside = [profile for profile in profiles if profile.resource_group.lower() == words[1]]
        if len(words) == 2:
            return self._group(groups[words[1]])
        if words[2:] == ["resources"]:
            return {"value": [self._short(profile) for profile in inside]}
        if words[2:5] == ["providers", PROVIDER.lower(), "vaults"] and len(words) in (5, 6):
            if len(words) == 5:
                return {"value": [self._vault(profile, base) for profile in inside]}
            for profile in inside:
                if profile.name.lower() == words[5]:
                    return self._vault(profile, base)
            raise ArmError(
                404, "ResourceNotFound",
                f"The Resource '{PROVIDER}/vaults/{segments[7]}' under resource group '{segments[3]}' was not found. For more "
                "details please go to https://aka.ms/ARMResourceNotFoundFix",
            )  # fmt: skip
        raise ArmError(404, "ResourceNotFound", f"The Resource '/{'/'.join(segments)}' was not found.")

    def _subscription(self) -> dict[str, Any]:
        return {
            "id": f"/subscriptions/{SEED_SUBSCRIPTION}",
            "subscriptionId": SEED_SUBSCRIPTION,
            "tenantId": SEED_TENANT,
            "displayName": "Emulator subscription",
            "state": "Enabled",
            "authorizationSource": "RoleBased",
        }

    def _group(self, profile: VaultProfile) -> dict[str, Any]:
        return {
            "id": f"/subscriptions/{SEED_SUBSCRIPTION}/resourceGroups/{profile.resource_group}",
            "name": profile.resource_group,
            "type": "Microsoft.Resources/resourceGroups",
            "location": profile.location,
            "properties": {"provisioningState": "Succeeded"},
        }

    def _short(self, profile: VaultProfile) -> dict[str, Any]:
        return {
            "id": vault_resource_id(profile),
            "name": profile.name,
            "type": f"{PROVIDER}/vaults",
            "location": profile.location,
            "tags": {},
        }

    def _vault(self, profile: VaultProfile, base: str) -> dict[str, Any]:
        properties: dict[str, Any] = {
            "sku": {"family": "A", "name": profile.sku},
            "tenantId": SEED_TENANT,
            "accessPolicies": [] if profile.rbac else [self._policy(client) for client in self._state.clients.values()],
            "enabledForDeployment": False,
            "enableSoftDelete": profile.retention_days > 0,
            "enableRbacAuthorization": profile.rbac,
            "vaultUri": self._vault_uri(profile, base),
            "provisioningState": "Succeeded",
            "publicNetworkAccess": "Enabled",
        }
        if profile.retention_days:
            properties["softDeleteRetentionInDays"] = profile.retention_days
        if profile.purge_protection:
            # The real service leaves the member out while protection is off.
            properties["enablePurgeProtection"] = True
        if profile.firewall:
            properties["networkAcls"] = {
                "bypass": "None",
                "defaultAction": "Deny",
                "ipRules": [],
                "virtualNetworkRules": [],
            }
        return {**self._short(profile), "properties": properties}

    def _policy(self, client: Client) -> dict[str, Any]:
        granted = [word for word in KEY_PERMISSIONS if word in client.permissions]
        return {
            "tenantId": client.tenant_id,
            "objectId": client.object_id,
            "permissions": {"keys": granted, "secrets": [], "certificates": []},
        }

    def _vault_uri(self, profile: VaultProfile, base: str) -> str:
        """The address this client can use: the host it came by, with the vault's own port."""
        host = base.removeprefix("https://")
        if host.split(":")[0] == "management.azure.com":
            return f"https://{profile.name}.vault.azure.net/"
        return f"https://{re.sub(r':[0-9]+$', '', host)}:{profile.port}/"

    def _name_availability(self, raw: bytes) -> dict[str, Any]:
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        name = body.get("name") if isinstance(body, dict) else None
        if not isinstance(name, str):
            raise ArmError(400, "BadRequest", "The request must name a vault.")
        if not VAULT_NAME.match(name):
            return {
                "nameAvailable": False,
                "reason": "AccountNameInvalid",
                "message": f"The vault name '{name}' is invalid.",
            }
        if name.lower() in self._state.vaults:
            message = f"The vault name '{name}' is already in use. Vault names are globally unique so it is possible that the name is already taken."
            return {"nameAvailable": False, "reason": "AlreadyExists", "message": message}
        return {"nameAvailable": True}


def vault_resource_id(profile: VaultProfile) -> str:
    """The vault's full resource id."""
    group = f"/subscriptions/{SEED_SUBSCRIPTION}/resourceGroups/{profile.resource_group}"
    return f"{group}/providers/{PROVIDER}/vaults/{profile.name}"
