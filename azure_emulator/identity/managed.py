"""Managed identities: the token endpoints that only a workload inside Azure can reach.

Owns the form of the instance metadata service (``/metadata/identity/oauth2/token``) and of
App Service's ``IDENTITY_ENDPOINT`` (``/msi/token``). Source: docs/azure.md, "Sign-in".
Must not know vaults.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from azure_emulator.http_request import HttpRequest
from azure_emulator.identity.clients import Client
from azure_emulator.responses import json_response

if TYPE_CHECKING:
    from azure_emulator.state import State

INSTANCE_METADATA = ["metadata", "identity", "oauth2", "token"]
APP_SERVICE = ["msi", "token"]
APP_SERVICE_VERSIONS = {"2019-08-01"}
INSTANCE_METADATA_VERSIONS = {"2018-02-01", "2019-08-01", "2021-02-01"}
# Query parameters that choose an identity assigned by a user.
CLIENT_ID, OBJECT_ID = ("client_id",), ("object_id", "principal_id")
RESOURCE_ID = ("mi_res_id", "msi_res_id")


class ManagedIdentityError(Exception):
    """One refusal."""

    def __init__(self, text: str, error: str = "invalid_request", status: int = 400) -> None:
        super().__init__(text)
        self.text, self.error, self.status = text, error, status


class ManagedIdentityEndpoint:
    """Issues tokens to managed identities."""

    def __init__(self, state: State) -> None:
        self._state = state

    def answer(self, request: HttpRequest) -> Response:
        """Answer one request, refusals included."""
        words = [segment.lower() for segment in request.segments]
        try:
            if request.method != "GET":
                raise ManagedIdentityError("Method not allowed.", status=405)
            if words == APP_SERVICE:
                return json_response(self._app_service_token(request))
            if words == INSTANCE_METADATA:
                return json_response(self._instance_token(request))
            raise ManagedIdentityError("The requested resource does not exist.", "not_found", 404)
        except ManagedIdentityError as error:
            if words == APP_SERVICE:
                return json_response({"statusCode": error.status, "message": error.text}, error.status)
            return json_response({"error": error.error, "error_description": error.text}, error.status)

    def _instance_token(self, request: HttpRequest) -> dict[str, Any]:
        # The header proves that no open redirect or forwarding proxy made the request.
        if request.headers.get("metadata", "").lower() != "true" or "x-forwarded-for" in request.headers:
            raise ManagedIdentityError("Required metadata header not specified")
        if request.query.get("api-version") not in INSTANCE_METADATA_VERSIONS:
            raise ManagedIdentityError("Required query variable 'api-version' is missing or not supported")
        answer = self._token(request)
        return {name: str(value) for name, value in answer.items()}

    def _app_service_token(self, request: HttpRequest) -> dict[str, Any]:
        if request.headers.get("x-identity-header") != self._state.settings.identity_header:
            raise ManagedIdentityError("The X-IDENTITY-HEADER is missing or wrong.", status=401)
        if request.query.get("api-version") not in APP_SERVICE_VERSIONS:
            raise ManagedIdentityError("The api-version is missing or not supported.")
        answer = self._token(request)
        return {name: answer[name] for name in ("access_token", "resource", "token_type", "client_id")} | {
            "expires_on": str(answer["expires_on"])
        }

    def _token(self, request: HttpRequest) -> dict[str, Any]:
        resource = request.query.get("resource", "").rstrip("/")
        if not resource:
            raise ManagedIdentityError("Required query variable 'resource' is missing")
        if resource not in self._state.options.cloud.resources:
            raise ManagedIdentityError(
                f"AADSTS500011: The resource principal named {resource} was not found in the tenant.",
                "invalid_resource",
            )
        client = self._identity(request)
        if client is None:
            raise ManagedIdentityError("Identity not found")
        request.client = client.client_id
        lifetime, now = self._state.settings.token_lifetime, int(time.time())
        return {
            "access_token": self._state.signer.issue(client, resource, lifetime, by_certificate=True),
            "client_id": client.client_id,
            "expires_in": lifetime,
            "expires_on": now + lifetime,
            "ext_expires_in": lifetime,
            "not_before": now - 300,
            "resource": request.query["resource"],
            "token_type": "Bearer",
        }

    def _identity(self, request: HttpRequest) -> Client | None:
        """The identity the query names, else the one of the system."""
        query = request.query
        assigned = [each for each in self._state.clients.values() if each.managed_identity and not each.disabled]
        for client in assigned:
            for names, own in (
                (CLIENT_ID, client.client_id), (OBJECT_ID, client.object_id), (RESOURCE_ID, client.resource_id)
            ):  # fmt: skip
                if own and any(query.get(name, "").lower() == own.lower() for name in names):
                    return client
        if any(name in query for name in (*CLIENT_ID, *OBJECT_ID, *RESOURCE_ID)):
            return None
        return next((client for client in assigned if client.managed_identity == "system"), None)
