"""The data plane of Key Vault: all checks before an operation, in the service's order.

Owns that order: token, network rules, faults, api-version, path, throttle, permission,
name. The answer to a request without a token is the 401 challenge, given
before anything else is looked at, because clients probe with an empty request first.
Must not perform operations.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from azure_emulator.faults.apply import apply_fault
from azure_emulator.faults.model import Fault
from azure_emulator.http_request import HttpRequest
from azure_emulator.identity.clients import SEED_TENANT
from azure_emulator.identity.tokens import ISSUER_PREFIX, MISSING_TOKEN, TokenRefused
from azure_emulator.keyvault import api_versions, errors, key_rotation, permissions, routes, throttle
from azure_emulator.keyvault.call import Call
from azure_emulator.keyvault.errors import ServiceError
from azure_emulator.keyvault.other_objects import permission_needed
from azure_emulator.keyvault.vault import Vault
from azure_emulator.keyvault.write import creates_hsm_key
from azure_emulator.responses import empty_response, json_response

if TYPE_CHECKING:
    from azure_emulator.state import State

KEY_NAME = re.compile(r"^[0-9a-zA-Z-]{1,127}\Z")
SERVICE_VERSION = "1.9.2500.1"


class KeyVaultService:
    """Answers for all vaults of one state."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def answer(self, request: HttpRequest, vault: Vault, challenge: str) -> Response:
        """Answer one request to a vault, refusals included, with the service's headers."""
        headers = common_headers(request, vault)
        fault = self._take_fault(request, vault, before_sign_in=True)
        response = await apply_fault(fault, request, lambda: self._admit(request, vault, challenge), challenge)
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    def _take_fault(self, request: HttpRequest, vault: Vault, *, before_sign_in: bool) -> Fault | None:
        return self._state.faults.take(
            request.method, request.path, vault.profile.name, "vault", before_sign_in=before_sign_in
        )

    async def _admit(self, request: HttpRequest, vault: Vault, challenge: str) -> Response:
        """Check the caller and its address first, then the request."""
        try:
            claims = self._authenticate(request, challenge)
            request.client = str(claims.get("appid"))
            permissions.check_network(vault.profile, claims, request.client_address)
        except ServiceError as error:
            return json_response(error.envelope(), error.status, error.headers)
        fault = self._take_fault(request, vault, before_sign_in=False)
        return await apply_fault(fault, request, lambda: self._perform(request, vault, claims, fault), challenge)

    def _authenticate(self, request: HttpRequest, challenge: str) -> dict[str, Any]:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise errors.unauthorized(MISSING_TOKEN, challenge)
        try:
            claims = self._state.signer.verify(token.strip())
        except TokenRefused as error:
            raise errors.unauthorized(error.reason, challenge) from error
        audience, issuer = str(claims.get("aud", "")), str(claims.get("iss", ""))
        expected = self._state.options.cloud.vault_audience
        if audience.rstrip("/") != expected:
            raise errors.unauthorized(f"AKV10022: Invalid audience. Expected {expected}, found: {audience}.", challenge)
        if issuer != f"{ISSUER_PREFIX}{SEED_TENANT}/":
            expected = f"{ISSUER_PREFIX}{SEED_TENANT}/"
            raise errors.unauthorized(
                f"AKV10032: Invalid issuer. Expected one of {expected}, found {issuer}.", challenge
            )
        return claims

    async def _perform(
        self, request: HttpRequest, vault: Vault, claims: dict[str, Any], fault: Fault | None
    ) -> Response:
        """An error raised here is an answer too: a fault after the effect must still see it."""
        try:
            payload = await self._run(request, vault, claims, fault)
        except ServiceError as error:
            return json_response(error.envelope(), error.status, error.headers)
        return empty_response(204) if payload is None else json_response(payload)

    async def _run(
        self, request: HttpRequest, vault: Vault, claims: dict[str, Any], fault: Fault | None
    ) -> dict[str, Any] | None:
        query = {name.lower(): value for name, value in request.query.items()}
        api_version = api_versions.read_api_version(query)
        other = permission_needed(request.method, request.segments)
        if other is not None:
            raise permissions.refusal(other.permission, vault.profile, claims, other.name, other.kind)
        route = routes.resolve(request.method, request.segments, api_version)
        target = route.target
        call = Call(
            state=self._state,
            vault=vault,
            base=request.base,
            api_version=api_version,
            query=query,
            raw_body=request.body,
            name=target.name or "",
            version=target.version,
            operation=target.word,
            fault=fault,
        )
        if route.operation.creates:
            throttle.count_creation(vault, is_hsm=creates_hsm_key(call))
        client = self._state.clients.get(str(claims.get("appid", "")).lower())
        if client is None:
            raise permissions.by_policy(route.operation.permission, vault.profile, claims)
        if not self._state.has_permission(client, route.operation.permission, float(claims.get("iat", 0))):
            raise permissions.refusal(route.operation.permission, vault.profile, claims, target.name or "")
        if target.name is not None and not KEY_NAME.match(target.name):
            raise errors.bad_parameter(f"The request URI contains an invalid name: {target.name}")
        if call.name:
            # The service rotates in the background; what comes due shows with the next request for the key.
            await key_rotation.rotate_if_due(vault, self._state.pool, call.name)
        return await route.operation.handler(call)


def common_headers(request: HttpRequest, vault: Vault) -> dict[str, str]:
    """The headers every answer of a vault carries."""
    headers = {
        "cache-control": "no-cache",
        "pragma": "no-cache",
        "expires": "-1",
        "x-ms-keyvault-region": vault.profile.location,
        "x-ms-request-id": str(uuid.uuid4()),
        "x-ms-keyvault-service-version": SERVICE_VERSION,
        "x-ms-keyvault-network-info": f"conn_type=Ipv4;addr={request.client_address};act_addr_fam=InterNetwork;",
        "strict-transport-security": "max-age=31536000;includeSubDomains",
        "x-content-type-options": "nosniff",
    }
    echoed = request.headers.get("x-ms-client-request-id")
    return headers | ({"x-ms-client-request-id": echoed} if echoed else {})
