"""The front door: decides which part of Azure a request is for, by host, port and path.

Owns dispatch, latency, the journal and connection resets. Must not hold behaviour of
any one part.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from azure_emulator import faults
from azure_emulator.answers import json_response
from azure_emulator.arm import ResourceManager
from azure_emulator.control import Control
from azure_emulator.identity.clients import SEED_TENANT
from azure_emulator.identity.entra import Authority
from azure_emulator.keyvault.gate import Gate
from azure_emulator.visit import Visit, read_visit
from azure_emulator.world import World

ABORT_EXTENSION = "azure_emulator.abort"
ARM_ROOTS = {"subscriptions", "tenants", "metadata", "providers"}
VAULT_SUFFIX = ".vault.azure.net"


class App:
    """The ASGI application for all listeners."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._control = Control(world)
        self._authority = Authority(world.clients, world.signer)
        self._manager = ResourceManager(world)
        self._gate = Gate(world)
        self._by_port = {vault.profile.port: vault for vault in world.vaults.values()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        visit = await read_visit(scope, receive)
        if visit is None:
            await json_response({"error": {"code": "BadRequest", "message": "Invalid host name."}}, 400)(
                scope, receive, send
            )
            return
        self._sort(visit)
        response: Response | None = None
        try:
            response = await self._answer(visit)
            if visit.part != "control" and self._world.settings.latency_ms:
                await asyncio.sleep(self._world.settings.latency_ms / 1000)
        except faults.ConnectionResetWanted:
            pass
        if visit.part != "control":
            self._record(visit, response, started)
        if response is not None:
            await response(scope, receive, send)
            return
        scope["extensions"][ABORT_EXTENSION]()
        # Wait until the server has seen the connection go, or it would try to answer 500.
        while (await receive())["type"] != "http.disconnect":
            pass

    def _sort(self, visit: Visit) -> None:
        """Mapped Azure host names win over ports, so that one listener can play all parts."""
        first = visit.segments[0].lower() if visit.segments else ""
        if visit.host.endswith(VAULT_SUFFIX):
            visit.vault = self._world.vaults.get(visit.host.removesuffix(VAULT_SUFFIX))
            visit.part = "vault" if visit.vault else "unknown"
        elif visit.host == "login.microsoftonline.com":
            visit.part = "entra"
        elif visit.host == "management.azure.com":
            visit.part = "arm"
        elif visit.port != self._world.options.port:
            visit.vault = self._by_port.get(visit.port)
            visit.part = "vault" if visit.vault else "unknown"
        elif first == "_emulator":
            visit.part = "control"
        elif first in ARM_ROOTS:
            visit.part = "arm"
        elif {word.lower() for word in visit.segments[1:]} & {".well-known", "oauth2", "discovery"} and first not in (
            "keys",
            "deletedkeys",
        ):
            visit.part = "entra"
        else:
            visit.vault = self._by_port.get(visit.port)
            visit.part = "vault" if visit.vault else "unknown"

    async def _answer(self, visit: Visit) -> Response:
        if visit.part == "control":
            return self._control.answer(visit.method, visit.segments[1:], visit.body)
        if visit.part == "vault" and visit.vault is not None:
            return await self._gate.answer(visit, visit.vault, self._challenge(visit))
        if visit.part == "entra":
            return await self._with_fault(visit, self._entra)
        if visit.part == "arm":
            return await self._with_fault(visit, self._arm)
        return json_response({"error": {"code": "NotFound", "message": f"No vault answers at {visit.host}."}}, 404)

    async def _with_fault(self, visit: Visit, effect: Callable[[Visit], Awaitable[Response]]) -> Response:
        fault = self._world.faults.take(visit.method, visit.path, None, visit.part)
        visit.fault = fault.id if fault else None
        return await faults.under(fault, lambda: effect(visit))

    async def _entra(self, visit: Visit) -> Response:
        return self._authority.answer(visit, self._world.settings.token_lifetime)

    async def _arm(self, visit: Visit) -> Response:
        return self._manager.answer(visit)

    def _challenge(self, visit: Visit) -> str:
        """Where to get a token; the host is the one the client used, so that it resolves for it too."""
        if visit.host.endswith(VAULT_SUFFIX):
            authority = "https://login.microsoftonline.com"
        else:
            authority = f"https://{visit.host}:{self._world.options.port}"
        return f'Bearer authorization="{authority}/{SEED_TENANT}", resource="https://vault.azure.net"'

    def _record(self, visit: Visit, response: Response | None, started: float) -> None:
        self._world.journal.add(
            time=time.time(),
            part=visit.part,
            vault=visit.vault.profile.name if visit.vault else None,
            method=visit.method,
            path=visit.path,
            query="&".join(f"{name}={value}" for name, value in visit.query.items()) if visit.part == "vault" else "",
            status=response.status_code if response is not None else None,
            duration_ms=round((time.perf_counter() - started) * 1000, 2),
            client=visit.client,
            request_id=response.headers.get("x-ms-request-id") if response is not None else None,
            fault=visit.fault,
            reset="connection reset" if response is None else None,
        )
