"""The front door: decides which part of Azure a request is for, by host, port and path.

Owns dispatch, latency, the request_log and connection resets. Must not hold behaviour of
any one part.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from azure_emulator import faults
from azure_emulator.arm import ResourceManager
from azure_emulator.control import Control
from azure_emulator.delivery import with_wire_headers
from azure_emulator.http_request import HttpRequest, read_request
from azure_emulator.identity.authority import Authority
from azure_emulator.identity.clients import SEED_TENANT
from azure_emulator.keyvault.service import KeyVaultService
from azure_emulator.responses import json_response
from azure_emulator.state import State

ABORT_EXTENSION = "azure_emulator.abort"
ARM_ROOTS = {"subscriptions", "tenants", "metadata", "providers"}
VAULT_SUFFIX = ".vault.azure.net"


class App:
    """The ASGI application for all listeners."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._control = Control(state)
        self._authority = Authority(state.clients, state.signer)
        self._manager = ResourceManager(state)
        self._vaults = KeyVaultService(state)
        self._by_port = {vault.profile.port: vault for vault in state.vaults.values()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        send = with_wire_headers(send, self._state.settings.date_skew_seconds)
        request = await read_request(scope, receive)
        if request is None:
            await json_response({"error": {"code": "BadRequest", "message": "Invalid host name."}}, 400)(
                scope, receive, send
            )
            return
        self._sort(request)
        response: Response | None = None
        try:
            response = await self._answer(request)
            if request.part != "control" and self._state.settings.latency_ms:
                await asyncio.sleep(self._state.settings.latency_ms / 1000)
        except faults.ConnectionReset:
            pass
        if request.part != "control":
            self._record(request, response, started)
        if response is not None:
            await response(scope, receive, send)
            return
        scope["extensions"][ABORT_EXTENSION]()
        # Wait until the server has seen the connection go, or it would try to answer 500.
        while (await receive())["type"] != "http.disconnect":
            pass

    def _sort(self, request: HttpRequest) -> None:
        """Mapped Azure host names win over ports, so that one listener can play all parts."""
        first = request.segments[0].lower() if request.segments else ""
        if request.host.endswith(VAULT_SUFFIX):
            request.vault = self._state.vaults.get(request.host.removesuffix(VAULT_SUFFIX))
            request.part = "vault" if request.vault else "unknown"
        elif request.host == "login.microsoftonline.com":
            request.part = "entra"
        elif request.host == "management.azure.com":
            request.part = "arm"
        elif request.port != self._state.options.port:
            request.vault = self._by_port.get(request.port)
            request.part = "vault" if request.vault else "unknown"
        elif first == "_emulator":
            request.part = "control"
        elif first in ARM_ROOTS:
            request.part = "arm"
        elif {word.lower() for word in request.segments[1:]} & {".well-known", "oauth2", "discovery"} and first not in (
            "keys",
            "deletedkeys",
        ):
            request.part = "entra"
        else:
            request.vault = self._by_port.get(request.port)
            request.part = "vault" if request.vault else "unknown"

    async def _answer(self, request: HttpRequest) -> Response:
        if request.part == "control":
            return self._control.answer(request.method, request.segments[1:], request.body)
        if request.part == "vault" and request.vault is not None:
            return await self._vaults.answer(request, request.vault, self._challenge(request))
        if request.part == "entra":
            return await self._with_fault(request, self._entra)
        if request.part == "arm":
            return await self._with_fault(request, self._arm)
        return json_response({"error": {"code": "NotFound", "message": f"No vault answers at {request.host}."}}, 404)

    async def _with_fault(self, request: HttpRequest, effect: Callable[[HttpRequest], Awaitable[Response]]) -> Response:
        fault = self._state.faults.take(request.method, request.path, None, request.part)
        request.fault = fault.id if fault else None
        return await faults.apply(fault, lambda: effect(request))

    async def _entra(self, request: HttpRequest) -> Response:
        return self._authority.answer(request, self._state.settings.token_lifetime)

    async def _arm(self, request: HttpRequest) -> Response:
        return self._manager.answer(request)

    def _challenge(self, request: HttpRequest) -> str:
        """Where to get a token; the host is the one the client used, so that it resolves for it too."""
        if request.host.endswith(VAULT_SUFFIX):
            authority = "https://login.microsoftonline.com"
        else:
            authority = f"https://{request.host}:{self._state.options.port}"
        return f'Bearer authorization="{authority}/{SEED_TENANT}", resource="https://vault.azure.net"'

    def _record(self, request: HttpRequest, response: Response | None, started: float) -> None:
        self._state.request_log.add(
            time=time.time(),
            part=request.part,
            vault=request.vault.profile.name if request.vault else None,
            method=request.method,
            path=request.path,
            query="&".join(f"{name}={value}" for name, value in request.query.items())
            if request.part == "vault"
            else "",
            status=response.status_code if response is not None else None,
            duration_ms=round((time.perf_counter() - started) * 1000, 2),
            client=request.client,
            request_id=response.headers.get("x-ms-request-id") if response is not None else None,
            fault=request.fault,
            reset="connection reset" if response is None else None,
        )
