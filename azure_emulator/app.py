"""The ASGI application: decides which part of Azure a request is for, by host, port and path.

Owns dispatch, latency, the request log and how answers are delivered. Must not hold
behaviour of any one part.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from azure_emulator import delivery
from azure_emulator.arm.service import ResourceManager
from azure_emulator.control.api import ControlApi
from azure_emulator.faults.apply import ConnectionReset, apply_fault
from azure_emulator.http_request import HttpRequest, read_request
from azure_emulator.identity.authority import Authority
from azure_emulator.identity.clients import SEED_TENANT
from azure_emulator.identity.managed import ManagedIdentityEndpoint
from azure_emulator.keyvault.service import KeyVaultService
from azure_emulator.responses import json_response
from azure_emulator.state import State

TRANSPORT_EXTENSION = "azure_emulator.transport"
ARM_ROOTS = {"subscriptions", "tenants", "providers"}
MANAGED_IDENTITY_ROOTS = {("metadata", "identity"), ("msi", "token")}
ENTRA_WORDS = {".well-known", "oauth2", "discovery"}


class App:
    """Answers all listeners."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._control = ControlApi(state)
        self._authority = Authority(state)
        self._managed = ManagedIdentityEndpoint(state)
        self._manager = ResourceManager(state)
        self._vaults = KeyVaultService(state)
        self._by_port = {vault.profile.port: vault for vault in state.vaults.values()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started, arrived_after = time.perf_counter(), self._state.request_log.times_cleared
        request = await read_request(scope, receive)
        if request is None:
            malformed = json_response({"error": {"code": "BadRequest", "message": "Invalid host name."}}, 400)
            await malformed(scope, receive, delivery.with_wire_headers(send, 0))
            return
        self._find_part(request)
        response: Response | None = None
        try:
            response = await self._answer(request)
            if request.part != "control" and self._state.settings.latency_ms:
                await asyncio.sleep(self._state.settings.latency_ms / 1000)
        except ConnectionReset:
            pass
        if request.part != "control":
            self._log(request, response, started, arrived_after)
        await self._deliver(request, response, scope, receive, send)

    async def _deliver(
        self, request: HttpRequest, response: Response | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        ahead = self._clock_ahead(request)
        transport = scope["extensions"][TRANSPORT_EXTENSION]
        if response is None:
            delivery.reset_connection(transport)
        elif request.fault is not None and request.fault.damages_delivery:
            await delivery.deliver_damaged(transport, response, request.fault, ahead)
        else:
            await response(scope, receive, delivery.with_wire_headers(send, ahead))
            return
        await delivery.wait_for_disconnect(receive)

    def _clock_ahead(self, request: HttpRequest) -> float:
        settings = self._state.settings
        return settings.date_skew_seconds + (settings.clock_skew_seconds if request.part == "vault" else 0.0)

    def _find_part(self, request: HttpRequest) -> None:
        """Azure's own host names win over ports, so that one listener can play all parts."""
        names = self._state.options.cloud
        vault_name = request.host.removesuffix(names.vault_suffix)
        if request.port == self._state.options.metadata_port:
            is_identity = tuple(word.lower() for word in request.segments[:2]) in MANAGED_IDENTITY_ROOTS
            request.part = "identity" if is_identity else "unknown"
        elif vault_name != request.host:
            request.vault = self._state.vaults.get(vault_name)
            request.part = "vault" if request.vault else "unknown"
        elif request.host in names.authorities:
            request.part = "entra"
        elif request.host == names.manager:
            request.part = "arm"
        elif request.port != self._state.options.port:
            request.vault = self._by_port.get(request.port)
            request.part = "vault" if request.vault else "unknown"
        else:
            request.part = part_of_path([word.lower() for word in request.segments])
            if request.part == "vault":
                request.vault = self._by_port.get(request.port)
                request.part = "vault" if request.vault else "unknown"

    async def _answer(self, request: HttpRequest) -> Response:
        if request.part == "control":
            return await self._control.answer(request)
        if request.part == "vault" and request.vault is not None:
            return await self._vaults.answer(request, request.vault, self._challenge(request))
        if request.part == "entra":
            return await self._with_fault(request, self._authority.answer)
        if request.part == "identity":
            return await self._with_fault(request, self._managed.answer)
        if request.part == "arm":
            return await self._with_fault(request, self._manager.answer)
        return json_response({"error": {"code": "NotFound", "message": f"No vault answers at {request.host}."}}, 404)

    async def _with_fault(self, request: HttpRequest, effect: Callable[[HttpRequest], Response]) -> Response:
        fault = self._state.faults.take(request.method, request.path, None, request.part)

        async def run_effect() -> Response:
            return effect(request)

        return await apply_fault(fault, request, run_effect)

    def _challenge(self, request: HttpRequest) -> str:
        """Where to get a token; the host is the one the client used, so that it resolves for it too."""
        names = self._state.options.cloud
        if request.host.endswith(names.vault_suffix):
            authority = f"https://{self._state.settings.challenge_authority or names.authority}"
        else:
            authority = f"https://{request.host}:{self._state.options.port}"
        return f'Bearer authorization="{authority}/{SEED_TENANT}", resource="{names.vault_audience}"'

    def _log(self, request: HttpRequest, response: Response | None, started: float, arrived_after: int) -> None:
        self._state.request_log.add(
            arrived_after=arrived_after,
            time=time.time(),
            part=request.part,
            vault=request.vault.profile.name if request.vault else None,
            method=request.method,
            path=request.path,
            query=(
                "&".join(f"{name}={value}" for name, value in request.query.items()) if request.part == "vault" else ""
            ),
            status=response.status_code if response is not None else None,
            duration_ms=round((time.perf_counter() - started) * 1000, 2),
            client=request.client,
            request_id=response.headers.get("x-ms-request-id") if response is not None else None,
            fault=request.fault.id if request.fault else None,
            reset="connection reset" if response is None else None,
        )


def part_of_path(words: list[str]) -> str:
    """The part that a path in lower case is for, on the main port and without a name of Azure."""
    first = words[0] if words else ""
    if first == "_emulator":
        return "control"
    if tuple(words[:2]) in MANAGED_IDENTITY_ROOTS:
        return "identity"
    if first in ARM_ROOTS or words == ["metadata", "endpoints"]:
        return "arm"
    if set(words[1:]) & ENTRA_WORDS and first not in ("keys", "deletedkeys"):
        return "entra"
    return "vault"
