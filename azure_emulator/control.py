"""The test control under ``/_emulator/``: faults, request_log, reset, clients, vaults, settings.

Owns the only paths that no real Azure has. Must not be reachable through a mapped
Azure host name, and must not answer secrets.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from azure_emulator import faults
from azure_emulator.identity.clients import BadClient, Client
from azure_emulator.responses import json_response
from azure_emulator.state import BadChange, State

Answer = tuple[int, Any]


class Control:
    """The control API over one state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._routes: dict[tuple[str, str], Callable[[Any], Answer]] = {
            ("GET", "health"): self._health,
            ("GET", "faults"): self._list_faults,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "requests"): lambda _: (200, self._state.request_log.listing()),
            ("DELETE", "requests"): self._clear_requests,
            ("POST", "reset"): self._reset,
            ("GET", "clients"): lambda _: (200, [shown(client) for client in self._state.clients.values()]),
            ("POST", "clients"): lambda body: (200, shown(self._state.change_client(body))),
            ("GET", "settings"): lambda _: (200, asdict(self._state.settings)),
            ("POST", "settings"): self._settings,
            ("GET", "vaults"): lambda _: (200, [asdict(vault.profile) for vault in self._state.vaults.values()]),
        }

    def answer(self, method: str, segments: list[str], body: bytes) -> Response:
        """Answer one control request; mistakes are 400 with a sentence."""
        try:
            status, payload = self._route(method, segments, json.loads(body) if body.strip() else {})
        except (faults.BadFault, BadClient, BadChange) as error:
            status, payload = 400, {"error": str(error)}
        except ValueError:
            status, payload = 400, {"error": "The body is not JSON."}
        return json_response(payload, status)

    def _route(self, method: str, segments: list[str], body: Any) -> Answer:
        method = "GET" if method == "HEAD" else method
        if len(segments) == 2 and segments[0] == "vaults" and method in ("POST", "GET"):
            vault = self._state.vaults.get(segments[1].lower())
            if method == "POST":
                return 200, asdict(self._state.change_vault(segments[1], body))
            return (200, asdict(vault.profile)) if vault else (404, {"error": "There is no such vault."})
        if len(segments) == 2 and segments[0] == "faults" and method == "DELETE":
            return self._remove_fault(segments[1])
        handler = self._routes.get((method, "/".join(segments)))
        if handler is None:
            return 404, {"error": f"The control API has no {method} {'/'.join(segments)}."}
        return handler(body)

    def _health(self, _: Any) -> Answer:
        keys = {name: len(vault.keys) for name, vault in self._state.vaults.items()}
        return 200, {"status": "ok", "vaults": keys}

    def _list_faults(self, _: Any) -> Answer:
        return 200, [asdict(fault) for fault in self._state.faults.faults]

    def _add_fault(self, body: Any) -> Answer:
        fault = faults.parse(body)
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


def shown(client: Client) -> dict[str, Any]:
    """A client without its secret."""
    return {name: value for name, value in client.to_json().items() if name != "secret"} | {
        "object_id": client.object_id
    }
