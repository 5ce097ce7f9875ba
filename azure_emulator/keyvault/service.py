"""The gate of a vault: every check that comes before an operation, in the service's order.

Owns that order: token, firewall, ordered faults, api-version, path, throttle,
permission, name. The answer to a request without a token is the 401 challenge, given
before anything else is looked at, because clients probe with an empty request first.
Must not perform operations.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from azure_emulator import faults
from azure_emulator.http_request import HttpRequest
from azure_emulator.identity.clients import SEED_TENANT
from azure_emulator.identity.tokens import ISSUER_PREFIX, VAULT_AUDIENCE, TokenRefused
from azure_emulator.keyvault import api_versions, errors, permissions, routes, throttle
from azure_emulator.keyvault.call import Call
from azure_emulator.keyvault.errors import ServiceError
from azure_emulator.keyvault.vault import Vault
from azure_emulator.keyvault.write import creates_hsm_key
from azure_emulator.responses import empty_response, json_response

if TYPE_CHECKING:
    from azure_emulator.state import State

KEY_NAME = re.compile(r"^[0-9a-zA-Z-]{1,127}\Z")
SERVICE_VERSION = "1.9.2500.1"


class KeyVaultService:
    """The door of all vaults of one state."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def answer(self, request: HttpRequest, vault: Vault, challenge: str) -> Response:
        """Answer one request to a vault, refusals included, with the service's headers."""
        headers = common_headers(request, vault)
        try:
            claims = self._authenticate(request, challenge)
            request.client = str(claims.get("appid"))
            permissions.check_firewall(vault.profile, claims, request.client_address)
            fault = self._state.faults.take(request.method, request.path, vault.profile.name, "vault")
            request.fault = fault.id if fault else None
            empty_page = bool(fault and fault.empty_page)
            response = await faults.apply(
                fault, lambda: self._perform(request, vault, claims, empty_page=empty_page), challenge
            )
        except ServiceError as error:
            response = json_response(error.envelope(), error.status, error.headers)
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    def _authenticate(self, request: HttpRequest, challenge: str) -> dict[str, Any]:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise errors.unauthorized("AKV10000: Request is missing a Bearer or PoP token.", challenge)
        try:
            claims = self._state.signer.verify(token.strip())
        except TokenRefused as error:
            raise errors.unauthorized(error.reason, challenge) from error
        audience, issuer = str(claims.get("aud", "")), str(claims.get("iss", ""))
        if audience.rstrip("/") != VAULT_AUDIENCE:
            raise errors.unauthorized(
                f"AKV10022: Invalid audience. Expected {VAULT_AUDIENCE}, found: {audience}.", challenge
            )
        if issuer != f"{ISSUER_PREFIX}{SEED_TENANT}/":
            expected = f"{ISSUER_PREFIX}{SEED_TENANT}/"
            raise errors.unauthorized(
                f"AKV10032: Invalid issuer. Expected one of {expected}, found {issuer}.", challenge
            )
        return claims

    async def _perform(
        self, request: HttpRequest, vault: Vault, claims: dict[str, Any], *, empty_page: bool
    ) -> Response:
        """An error raised here is an answer too: a fault 'after' the effect must still see it."""
        try:
            payload = await self._run(request, vault, claims, empty_page)
        except ServiceError as error:
            return json_response(error.envelope(), error.status, error.headers)
        return empty_response(204) if payload is None else json_response(payload)

    async def _run(
        self, request: HttpRequest, vault: Vault, claims: dict[str, Any], empty_page: bool
    ) -> dict[str, Any] | None:
        api_version = api_versions.read_api_version(request.query)
        route = routes.resolve(request.method, request.segments, api_version)
        target = route.target
        call = Call(
            state=self._state,
            vault=vault,
            base=request.base,
            api_version=api_version,
            query=request.query,
            raw_body=request.body,
            name=target.name or "",
            version=target.version,
            operation=target.word,
            empty_page=empty_page,
        )
        if route.operation.creates:
            throttle.count_creation(vault, is_hsm=creates_hsm_key(call))
        client = self._state.clients.get(str(claims.get("appid", "")).lower())
        if client is None:
            raise permissions.by_policy(route.operation.permission, vault.profile, claims)
        permissions.check_permission(client, route.operation.permission, vault.profile, claims, target.name or "")
        if target.name is not None and not KEY_NAME.match(target.name):
            raise errors.bad_parameter(f"The request URI contains an invalid name: {target.name}")
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
