"""The token authority: discovery documents, signing keys and the token endpoint.

Owns the paths of login.microsoftonline.com that a confidential client needs and the
AADSTS errors they answer. Must not know vaults or keys.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.responses import Response

from azure_emulator.http_request import HttpRequest
from azure_emulator.identity.clients import SEED_TENANT, Client
from azure_emulator.identity.tokens import ARM_AUDIENCES, VAULT_AUDIENCE, TokenSigner
from azure_emulator.responses import json_response

AUDIENCES = (VAULT_AUDIENCE, *ARM_AUDIENCES, "https://managedhsm.azure.net", "https://graph.microsoft.com")
NOT_STORED = {"cache-control": "no-store, no-cache", "pragma": "no-cache"}
ANY_TENANT = {"common", "organizations"}


class AuthorityError(Exception):
    """One refusal with its AADSTS number."""

    def __init__(self, status: int, error: str, number: int, text: str) -> None:
        super().__init__(text)
        self.status, self.error, self.number, self.text = status, error, number, text

    def response(self, correlation: str) -> Response:
        """The error document clients take the AADSTS text from."""
        stamp = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        trace = str(uuid.uuid4())
        description = (
            f"AADSTS{self.number}: {self.text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
        )
        body = {
            "error": self.error,
            "error_description": description,
            "error_codes": [self.number],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }
        return json_response(body, self.status, NOT_STORED)


class Authority:
    """Answers for one set of clients; holds no state of its own."""

    def __init__(self, clients: Mapping[str, Client], signer: TokenSigner) -> None:
        self._clients = clients
        self._signer = signer

    def answer(self, request: HttpRequest, lifetime: int) -> Response:
        """Answer one request to the authority, refusals included."""
        correlation = request.headers.get("client-request-id") or str(uuid.uuid4())
        try:
            return self._route(request, lifetime)
        except AuthorityError as error:
            return error.response(correlation)

    def _route(self, request: HttpRequest, lifetime: int) -> Response:
        tenant, rest = request.segments[0], [segment.lower() for segment in request.segments[1:]]
        if rest == ["discovery", "instance"]:
            return json_response(self._instance(request.query, request.base))
        if rest in (["v2.0", ".well-known", "openid-configuration"], [".well-known", "openid-configuration"]):
            return json_response(self._configuration(self._tenant(tenant), request.base, second=rest[0] == "v2.0"))
        if rest in (["discovery", "v2.0", "keys"], ["discovery", "keys"]):
            return json_response(self._signer.jwks(f"{request.base}/{{tenantid}}/v2.0"))
        if rest not in (["oauth2", "v2.0", "token"], ["oauth2", "token"]):
            raise AuthorityError(404, "invalid_request", 90023, "The requested resource does not exist.")
        if request.method != "POST":
            raise AuthorityError(405, "invalid_request", 900561, "The endpoint only accepts POST requests.")
        answer = self._token(self._tenant(tenant), request.headers, request.body, lifetime)
        return json_response(answer, headers=NOT_STORED)

    def _tenants(self) -> set[str]:
        return {SEED_TENANT} | {client.tenant_id.lower() for client in self._clients.values()}

    def _tenant(self, name: str) -> str:
        if name.lower() in self._tenants() | ANY_TENANT:
            return name.lower()
        raise AuthorityError(
            400,
            "invalid_tenant",
            90002,
            f"Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into the "
            "correct cloud. Check with your subscription administrator, this may happen if there are no active "
            "subscriptions for the tenant.",
        )

    def _instance(self, query: Mapping[str, str], base: str) -> dict[str, Any]:
        endpoint = query.get("authorization_endpoint", "")
        parts = endpoint.split("/")
        tenant = parts[3] if len(parts) > 3 and parts[3] else "common"
        host = base.removeprefix("https://")
        aliases = [host, "login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"]
        return {
            "tenant_discovery_endpoint": f"{base}/{tenant}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": list(dict.fromkeys(aliases))}],
        }

    def _configuration(self, tenant: str, base: str, *, second: bool) -> dict[str, Any]:
        shown = "{tenantid}" if tenant in ANY_TENANT else tenant
        oauth = f"{base}/{tenant}/oauth2/v2.0" if second else f"{base}/{tenant}/oauth2"
        return {
            "token_endpoint": f"{oauth}/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "jwks_uri": f"{base}/{tenant}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{base}/{shown}/v2.0" if second else f"https://sts.windows.net/{shown}/",
            "authorization_endpoint": f"{oauth}/authorize",
            "device_authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{base}/{tenant}/oauth2/v2.0/logout",
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "tid", "ver"],
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
        }

    def _token(self, tenant: str, headers: Mapping[str, str], body: bytes, lifetime: int) -> dict[str, Any]:
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        identifier, secret = credentials(form, headers)
        if not form.get("grant_type"):
            raise AuthorityError(
                400, "invalid_request", 900144, "The request body must contain the following parameter: 'grant_type'."
            )
        if form["grant_type"] != "client_credentials":
            raise AuthorityError(
                400,
                "unsupported_grant_type",
                70003,
                f"The app requested an unsupported grant type '{form['grant_type']}'.",
            )
        client = self._checked_client(tenant, identifier, secret, form)
        audience = self._audience(form, client)
        token = self._signer.issue(client, audience, lifetime)
        answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime}
        if "resource" in form and "scope" not in form:
            # The older endpoint answers strings and repeats the resource.
            now = int(time.time())
            answer = {name: str(value) for name, value in answer.items()}
            answer |= {"expires_on": str(now + lifetime), "not_before": str(now), "resource": form["resource"]}
        return {**answer, "access_token": token}

    def _checked_client(self, tenant: str, identifier: str, secret: str, form: Mapping[str, str]) -> Client:
        if not identifier:
            raise AuthorityError(
                400, "invalid_request", 900144, "The request body must contain the following parameter: 'client_id'."
            )
        client = self._clients.get(identifier.lower())
        if client is None or tenant not in {client.tenant_id.lower()} | ANY_TENANT:
            raise AuthorityError(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{identifier}' was not found in the directory '{tenant}'. This can happen if "
                "the application has not been installed by the administrator of the tenant or consented to by any user in "
                "the tenant. You may have sent your authentication request to the wrong tenant.",
            )
        if form.get("client_assertion"):
            raise AuthorityError(
                401,
                "invalid_client",
                700027,
                "The certificate with identifier used to sign the client assertion is not registered on application.",
            )
        if not secret:
            raise AuthorityError(
                401,
                "invalid_client",
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )
        if secret != client.secret:
            raise AuthorityError(
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
                f"not the client secret ID, for a secret added to app '{client.client_id}'.",
            )
        if client.secret_expired:
            raise AuthorityError(
                401,
                "invalid_client",
                7000222,
                f"The provided client secret keys for app '{client.client_id}' are expired.",
            )
        return client

    def _audience(self, form: Mapping[str, str], client: Client) -> str:
        if "scope" in form:
            wanted = [word for word in form["scope"].split() if word.endswith("/.default")]
            if len(wanted) != 1:
                raise AuthorityError(
                    400, "invalid_scope", 1002012,
                    f"The provided value for scope {form['scope']} is not valid. Client credential flows must have a scope "
                    "value with /.default suffixed to the resource identifier (application ID URI).",
                )  # fmt: skip
            resource = wanted[0].removesuffix("/.default")
        else:
            resource = form.get("resource", "")
        resource = resource.rstrip("/")
        if resource not in AUDIENCES:
            raise AuthorityError(
                400, "invalid_resource", 500011,
                f"The resource principal named {resource} was not found in the tenant named {client.tenant_id}.",
            )  # fmt: skip
        return resource


def credentials(form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    """Client id and secret from the form or, as RFC 6749 2.3.1 also allows, from Basic authorization."""
    header = headers.get("authorization", "")
    if header[:6].lower() == "basic ":
        try:
            identifier, _, secret = base64.b64decode(header[6:], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return unquote(identifier), unquote(secret)
    return form.get("client_id", ""), form.get("client_secret", "")
