"""Answers of Resource Manager: api-version, authorization and the tree of paths.

Owns the read-only part of management.azure.com that a client of Key Vault needs. Must not
change a vault or a key.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from azure_emulator.arm import authorization, resources, versions
from azure_emulator.arm.errors import (
    ArmError,
    authorization_failed,
    missing_registration,
    path_not_found,
    subscription_not_found,
)
from azure_emulator.arm.sign_in import authenticate
from azure_emulator.arm.subscription import SubscriptionTree
from azure_emulator.http_request import HttpRequest
from azure_emulator.identity.clients import SEED_TENANT, Client
from azure_emulator.profiles import SubscriptionProfile
from azure_emulator.responses import json_response

if TYPE_CHECKING:
    from azure_emulator.state import State

KEY_VAULT = "microsoft.keyvault"
GUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
CHECKS = ("checknameavailability", "checkmhsmnameavailability")
VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}
OPERATIONS = ("vaults/read", "vaults/keys/read", "vaults/keys/versions/read", "managedHSMs/read", "deletedVaults/read")


class ResourceManager:
    """Answers the control plane from the profiles in the state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def answer(self, request: HttpRequest) -> Response:
        """Answer one request, refusals included, with Resource Manager's headers."""
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
        words = [segment.lower() for segment in request.segments]
        cloud = self._state.options.cloud
        if words == ["metadata", "endpoints"]:
            return resources.metadata_document(request.base, cloud.arm_audiences, cloud.vault_suffix)
        client = authenticate(self._state, request)
        request.client = client.client_id
        now = time.time() + self._state.settings.clock_skew_seconds
        versions.check_api_version(request.query, key_vault_type(words), now)
        if words[:1] == ["subscriptions"] and len(words) > 1:
            return self._in_subscription(request, client, words)
        if request.method not in ("GET", "HEAD"):
            raise ArmError(405, "MethodNotAllowed", f"The stand-in answers no {request.method} here.")
        return self._in_tenant(client, words)

    def _in_tenant(self, client: Client, words: list[str]) -> dict[str, Any]:
        match words:
            case ["subscriptions"]:
                return {"value": [resources.subscription_json(each) for each in self._subscriptions(client)]}
            case ["tenants"]:
                tenant = {"id": f"/tenants/{SEED_TENANT}", "tenantId": SEED_TENANT, "displayName": "Emulator"}
                return {"value": [tenant]}
            case ["providers", provider, "operations"] if provider == KEY_VAULT:
                return {"value": [{"name": f"Microsoft.KeyVault/{name}", "isDataAction": False} for name in OPERATIONS]}
            case ["providers", "microsoft.authorization", "policydefinitions", identifier]:
                definition = authorization.policy_definition(identifier)
                if definition is not None:
                    return definition
        raise ArmError(404, "InvalidResourceType", "The resource type could not be found.")

    def _subscriptions(self, client: Client) -> list[SubscriptionProfile]:
        """The subscriptions of the client's tenant in which it has a role."""
        of_tenant = [each for each in self._state.subscriptions.values() if each.tenant_id == client.tenant_id.lower()]
        return of_tenant if client.arm else []

    def _in_subscription(self, request: HttpRequest, client: Client, words: list[str]) -> dict[str, Any]:
        identifier, scope = request.segments[1], f"/{'/'.join(request.segments)}"
        if not GUID.match(identifier):
            text = f"The provided subscription identifier '{identifier}' is malformed or invalid."
            raise ArmError(400, "InvalidSubscriptionId", text)
        subscription = self._state.subscriptions.get(words[1])
        if subscription is None:
            raise subscription_not_found(identifier)
        action = action_of(request.method, request.segments)
        if subscription.refuses == "SubscriptionNotFound":
            raise subscription_not_found(identifier)
        if subscription.refuses == "AuthorizationFailed" or not client.may_on_control_plane(action):
            raise authorization_failed(client, action, scope)
        inside = words[2:]
        if inside[:2] == ["providers", KEY_VAULT] and inside[2:] in ([], ["register"]):
            return registration(subscription, request.method, is_asked=inside[2:] == ["register"])
        if inside == ["providers"] and request.method in ("GET", "HEAD"):
            return {"value": [registration(subscription, request.method, is_asked=False)]}
        if subscription.refuses and KEY_VAULT in inside:
            raise missing_registration()
        is_check = inside[:2] == ["providers", KEY_VAULT] and inside[2:3] and inside[2] in CHECKS
        if request.method not in (("POST",) if is_check else ("GET", "HEAD")):
            raise ArmError(
                405, "MethodNotAllowed",
                f"The stand-in answers no {request.method} here; vaults are added on its command line.",
            )  # fmt: skip
        found = SubscriptionTree(self._state, subscription, request).find(inside)
        if found is None:
            raise path_not_found(request.segments)
        return found


def registration(subscription: SubscriptionProfile, method: str, *, is_asked: bool) -> dict[str, Any]:
    """Whether the subscription may use Key Vault; a client with the right may register it."""
    if is_asked and method == "POST" and subscription.refuses == "MissingSubscriptionRegistration":
        subscription.refuses = ""
    state = "NotRegistered" if subscription.refuses else "Registered"
    identifier = f"/subscriptions/{subscription.subscription_id}/providers/Microsoft.KeyVault"
    return {"id": identifier, "namespace": "Microsoft.KeyVault", "registrationState": state}


def key_vault_type(words: list[str]) -> str | None:
    """The type of Key Vault's provider that a path is about; None for other providers."""
    places = [place for place, word in enumerate(words) if word == "providers"]
    if not places or words[places[-1] + 1 : places[-1] + 2] != [KEY_VAULT]:
        return None
    types = words[places[-1] + 2 :: 2]
    # Registration is an operation of Microsoft.Resources, which has its own versions.
    return None if types in ([], ["register"]) else "/".join(types)


def action_of(method: str, segments: list[str]) -> str:
    """The action a role must allow: provider, types and verb."""
    verb = VERBS.get(method, "action")
    places = [place for place, word in enumerate(segments) if word.lower() == "providers"]
    if not places:
        kind = "/".join(segments[2::2])
        return (
            f"Microsoft.Resources/subscriptions/{kind}/{verb}" if kind else f"Microsoft.Resources/subscriptions/{verb}"
        )
    provider, *rest = segments[places[-1] + 1 :] or [""]
    if rest and rest[0].lower() in CHECKS:
        return f"{provider}/{rest[0]}/read"
    if rest == ["register"]:
        return f"{provider}/register/action"
    return "/".join([provider, *(rest[::2] or ["providers"]), verb])
