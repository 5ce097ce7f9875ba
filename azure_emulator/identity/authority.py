"""The token authority: discovery documents, signing keys and the token endpoint.

Owns the paths of login.microsoftonline.com that a confidential client needs. Must not
know vaults or keys.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from starlette.responses import Response

from azure_emulator.http_request import HttpRequest
from azure_emulator.identity.aadsts import NOT_STORED, AuthorityError, refusal
from azure_emulator.identity.clients import Client
from azure_emulator.responses import json_response

if TYPE_CHECKING:
    from azure_emulator.state import State

ANY_TENANT = {"common", "organizations"}
# A GUID, or a domain name of at least two labels.
TENANT_NAME = re.compile(
    r"^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+)\Z"
)
CONFIGURATION_PATHS = (["v2.0", ".well-known", "openid-configuration"], [".well-known", "openid-configuration"])
KEYS_PATHS = (["discovery", "v2.0", "keys"], ["discovery", "keys"])
TOKEN_PATHS = (["oauth2", "v2.0", "token"], ["oauth2", "token"])
CLAIMS = [
    "sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host", "aud", "exp",
    "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email",
]  # fmt: skip
KEPT_A_DAY = {"cache-control": "max-age=86400, private", "access-control-allow-origin": "*"}


class Authority:
    """Answers for the clients and tenants of the state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def answer(self, request: HttpRequest) -> Response:
        """Answer one request to the authority, refusals included."""
        correlation = request.headers.get("client-request-id") or str(uuid.uuid4())
        try:
            response = self._route(request)
        except AuthorityError as error:
            response = error.response(correlation)
        for name, value in common_headers().items():
            response.headers.setdefault(name, value)
        return response

    def _route(self, request: HttpRequest) -> Response:
        tenant, rest = request.segments[0], [segment.lower() for segment in request.segments[1:]]
        if rest == ["discovery", "instance"]:
            return json_response(instance_document(request.query, request.base), headers=KEPT_A_DAY)
        if rest in CONFIGURATION_PATHS:
            named = self._tenant(tenant)
            described = configuration_document(named, request.base, is_v2=rest[0] == "v2.0")
            return json_response(described, headers=KEPT_A_DAY)
        if rest in KEYS_PATHS:
            return json_response(self._state.signer.jwks(f"{request.base}/{{tenantid}}/v2.0"), headers=KEPT_A_DAY)
        if rest not in TOKEN_PATHS:
            raise AuthorityError(404, "invalid_request", 90023, "The requested resource does not exist.")
        if request.method != "POST":
            raise refusal(900561, method=request.method)
        return json_response(self._token(self._tenant(tenant), request), headers=NOT_STORED)

    def _tenant(self, name: str) -> str:
        """The tenant's GUID, by GUID or by one of its verified domains."""
        found = self._state.find_tenant(name)
        if found is not None or name.lower() in ANY_TENANT:
            return found or name.lower()
        raise refusal(90002 if TENANT_NAME.match(name) else 900023, tenant=name)

    def _token(self, tenant: str, request: HttpRequest) -> dict[str, Any]:
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        identifier, secret = read_credentials(form, request.headers)
        if not form.get("grant_type"):
            raise refusal(900144, parameter="grant_type")
        if form["grant_type"] != "client_credentials":
            raise refusal(70003, grant_type=form["grant_type"])
        if not identifier:
            raise refusal(900144, parameter="client_id")
        if "v2.0" in map(str.lower, request.segments[1:]):
            check_scope_alone(form)
        client = self._state.clients.get(identifier.lower())
        if client is None or tenant not in {client.tenant_id.lower()} | ANY_TENANT:
            raise refusal(700016, client_id=identifier, tenant=tenant)
        if client.missing_service_principal:
            raise refusal(7000229, client_id=client.client_id, tenant=client.tenant_id)
        if form.get("client_assertion"):
            audiences = token_endpoints(request, client.tenant_id)
            replays = self._state.settings.refuse_replayed_assertions
            self._state.assertions.check(client, form, audiences, refuse_replays=replays)
        else:
            check_secret(client, secret)
        if client.disabled:
            raise refusal(7000112, client_id=client.client_id, name=client.client_id)
        resource = self._resource(form, client)
        if client.blocked_by_conditional_access:
            raise refusal(53003)
        request.client = client.client_id
        return self._token_answer(client, resource, form)

    def _token_answer(self, client: Client, resource: str, form: Mapping[str, str]) -> dict[str, Any]:
        lifetime = self._state.settings.token_lifetime
        by_certificate = bool(form.get("client_assertion"))
        token = self._state.signer.issue(client, resource, lifetime, by_certificate=by_certificate)
        answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime}
        if "resource" in form and "scope" not in form:
            # The older endpoint answers strings and repeats the resource.
            now = int(time.time())
            answer = {name: str(value) for name, value in answer.items()}
            answer |= {"expires_on": str(now + lifetime), "not_before": str(now), "resource": form["resource"]}
        return {**answer, "access_token": token}

    def _resource(self, form: Mapping[str, str], client: Client) -> str:
        if "scope" in form:
            wanted = [word for word in form["scope"].split() if word.endswith("/.default")]
            if len(wanted) != 1:
                raise refusal(1002012, scope=form["scope"])
            resource = wanted[0].removesuffix("/.default")
        else:
            resource = form.get("resource", "")
        if resource.rstrip("/") not in self._state.options.cloud.resources:
            raise refusal(500011, resource=resource, tenant=client.tenant_id)
        # A slash at the end stays in the token's audience: Resource Manager's clients ask for "…//.default".
        return resource


def common_headers() -> dict[str, str]:
    """The headers every answer of the authority carries."""
    return {
        "expires": "-1",
        "strict-transport-security": "max-age=31536000; includeSubDomains",
        "x-content-type-options": "nosniff",
        "x-ms-request-id": str(uuid.uuid4()),
    }


def check_scope_alone(form: Mapping[str, str]) -> None:
    """The endpoint of version 2.0 knows resources by their scope only."""
    if form.get("resource"):
        raise refusal(901002)
    if "scope" not in form:
        raise refusal(900144, parameter="scope")


def check_secret(client: Client, secret: str) -> None:
    """Refuse a missing, wrong or expired client secret."""
    if not secret:
        raise refusal(7000218)
    if secret != client.secret:
        raise refusal(7000215, client_id=client.client_id)
    if client.secret_expired:
        raise refusal(7000222, client_id=client.client_id)


def read_credentials(form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    """Client id and secret from the form or, as RFC 6749 2.3.1 also allows, from Basic authorization."""
    header = headers.get("authorization", "")
    if header[:6].lower() == "basic ":
        try:
            identifier, _, secret = base64.b64decode(header[6:], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return unquote(identifier), unquote(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


def token_endpoints(request: HttpRequest, tenant: str) -> set[str]:
    """The addresses of this token endpoint: both versions, by GUID and as the client named the tenant."""
    names = {tenant, request.segments[0]}
    return {f"{request.base}/{name}/{path}" for name in names for path in ("oauth2/v2.0/token", "oauth2/token")}


def instance_document(query: Mapping[str, str], base: str) -> dict[str, Any]:
    """Which hosts belong to the same cloud."""
    parts = query.get("authorization_endpoint", "").split("/")
    tenant = parts[3] if len(parts) > 3 and parts[3] else "common"
    host = base.removeprefix("https://")
    aliases = [host, "login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"]
    return {
        "tenant_discovery_endpoint": f"{base}/{tenant}/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": list(dict.fromkeys(aliases))}],
    }


def configuration_document(tenant: str, base: str, *, is_v2: bool) -> dict[str, Any]:
    """The endpoints of a tenant, which is named by its GUID."""
    shown = "{tenantid}" if tenant in ANY_TENANT else tenant
    oauth = f"{base}/{tenant}/oauth2/v2.0" if is_v2 else f"{base}/{tenant}/oauth2"
    return {
        "token_endpoint": f"{oauth}/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{base}/{tenant}/discovery/v2.0/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": f"{base}/{shown}/v2.0" if is_v2 else f"https://sts.windows.net/{shown}/",
        "authorization_endpoint": f"{oauth}/authorize",
        "device_authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/devicecode",
        "request_uri_parameter_supported": False,
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
        "end_session_endpoint": f"{base}/{tenant}/oauth2/v2.0/logout",
        "claims_supported": CLAIMS,
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
    }
