"""The routes of the control API: faults, requests, reset, clients, vaults, settings.

Owns the only paths that no real Azure has. Must not be reachable through a mapped Azure
host name, and must not answer secrets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from azure_emulator import azure_policy, json_input
from azure_emulator.changes import BadChange
from azure_emulator.control import federation
from azure_emulator.faults import model
from azure_emulator.http_request import HttpRequest
from azure_emulator.identity.clients import BadClient
from azure_emulator.keyvault import foreign_versions, key_rotation
from azure_emulator.responses import json_response
from azure_emulator.state import State

Answer = tuple[int, Any]
Handler = Callable[[Any], Answer]


class ControlApi:
    """The control API over one state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._routes: dict[tuple[str, str], Handler] = {
            ("GET", "health"): self._health,
            ("GET", "faults"): lambda _: (200, [asdict(fault) for fault in state.faults.faults]),
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "requests"): lambda _: (200, state.request_log.listing()),
            ("DELETE", "requests"): self._clear_requests,
            ("POST", "reset"): self._reset,
            ("GET", "clients"): lambda _: (200, [client.described() for client in state.clients.values()]),
            ("POST", "clients"): lambda body: (200, state.change_client(body).described()),
            ("GET", "settings"): lambda _: (200, asdict(state.settings)),
            ("POST", "settings"): self._settings,
            ("GET", "vaults"): lambda _: (200, [asdict(vault.profile) for vault in state.vaults.values()]),
            ("GET", "policies"): lambda _: (200, list(azure_policy.DEFINITIONS)),
            ("GET", "subscriptions"): lambda _: (200, [asdict(each) for each in state.subscriptions.values()]),
            ("POST", "subscriptions"): lambda body: (200, asdict(state.change_subscription(body))),
            ("GET", "managed-hsms"): lambda _: (200, [asdict(each) for each in state.managed_hsms.values()]),
            ("POST", "managed-hsms"): lambda body: (200, asdict(state.change_managed_hsm(body))),
            ("GET", "tenants"): lambda _: (200, state.domains),
            ("POST", "tenants"): lambda body: (200, federation.add_domains(state, body)),
            ("GET", "issuers"): lambda _: (200, state.issuers),
            ("POST", "issuers"): lambda body: (200, federation.add_issuer(state, body)),
            ("POST", "federated-tokens"): lambda body: (200, federation.issue_token(state, body)),
        }

    async def answer(self, request: HttpRequest) -> Response:
        """Answer one control request; mistakes are 400 with a sentence."""
        try:
            body = json_input.parse(request.body) if request.body.strip() else {}
            status, payload = await self._route(request.method, request.segments[1:], body)
        except (model.BadFault, BadClient, BadChange) as error:
            status, payload = 400, {"error": str(error)}
        except ValueError:
            status, payload = 400, {"error": "The body is not JSON."}
        return json_response(payload, status)

    async def _route(self, method: str, segments: list[str], body: Any) -> Answer:
        method = "GET" if method == "HEAD" else method
        match [method, *segments]:
            case ["GET", "vaults", name] if name.lower() not in self._state.vaults:
                return 404, {"error": "There is no such vault."}
            case ["GET", "vaults", name]:
                return 200, asdict(self._state.find_vault(name).profile)
            case ["POST", "vaults", name]:
                return 200, asdict(self._state.change_vault(name, body))
            case ["POST", "vaults", name, "keys"]:
                return 201, foreign_versions.add_foreign_version(self._state.find_vault(name), body)
            case ["POST", "vaults", name, "rotations"]:
                return 200, await self._rotate_due(name)
            case ["DELETE", "faults", identifier]:
                return self._remove_fault(identifier)
        handler = self._routes.get((method, "/".join(segments)))
        if handler is None:
            return 404, {"error": f"The control API has no {method} {'/'.join(segments)}."}
        return handler(body)

    async def _rotate_due(self, name: str) -> dict[str, list[str]]:
        vault = self._state.find_vault(name)
        return {"rotated": await key_rotation.rotate_all_due(vault, self._state.pool)}

    def _health(self, _: Any) -> Answer:
        keys = {name: len(vault.keys) for name, vault in self._state.vaults.items()}
        return 200, {"status": "ok", "vaults": keys}

    def _add_fault(self, body: Any) -> Answer:
        fault = model.parse(body)
        self._state.faults.faults.append(fault)
        return 201, {"id": fault.id}

    def _clear_faults(self, _: Any) -> Answer:
        removed = len(self._state.faults.faults)
        self._state.faults.faults.clear()
        return 200, {"removed": removed}

    def _remove_fault(self, identifier: str) -> Answer:
        kept = [fault for fault in self._state.faults.faults if fault.id != identifier]
        removed = len(self._state.faults.faults) - len(kept)
        self._state.faults.faults[:] = kept
        return (200, {"removed": removed}) if removed else (404, {"error": "There is no such fault."})

    def _clear_requests(self, _: Any) -> Answer:
        self._state.request_log.clear()
        return 200, {}

    def _reset(self, _: Any) -> Answer:
        self._state.reset()
        return 200, {"status": "ok"}

    def _settings(self, body: Any) -> Answer:
        self._state.change_settings(body)
        return 200, asdict(self._state.settings)
