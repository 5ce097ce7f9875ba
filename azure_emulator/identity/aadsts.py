"""The AADSTS refusals of Microsoft Entra: numbers, OAuth error words, statuses and texts.

Owns texts and form. Source: docs/azure.md, "Sign-in". Must not decide when to refuse.
"""

from __future__ import annotations

import datetime as dt
import uuid

from starlette.responses import Response

from azure_emulator.responses import json_response

NOT_STORED = {"cache-control": "no-store, no-cache", "pragma": "no-cache"}

# Number: status, OAuth error, text.
REFUSALS: dict[int, tuple[int, str, str]] = {
    50013: (400, "invalid_client", "Assertion failed validation. {reason}"),
    50027: (400, "invalid_request", "JWT token is invalid or malformed. {reason}"),
    50196: (
        400,
        "invalid_grant",
        "The server terminated an operation because it encountered a client request loop. Please contact your app vendor.",
    ),
    53003: (
        400,
        "invalid_grant",
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
    ),
    70003: (400, "unsupported_grant_type", "The app requested an unsupported grant type '{grant_type}'."),
    90002: (
        400,
        "invalid_tenant",
        (
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct "
            "cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the "
            "tenant."
        ),
    ),
    90023: (400, "invalid_request", "The request is not valid. {reason}"),
    90033: (503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
    500011: (
        400,
        "invalid_resource",
        (
            "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if the "
            "application has not been installed by the administrator of the tenant or consented to by any user in the tenant. "
            "You might have sent your authentication request to the wrong tenant."
        ),
    ),
    700016: (
        400,
        "unauthorized_client",
        (
            "Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if the "
            "application has not been installed by the administrator of the tenant or consented to by any user in the tenant. "
            "You may have sent your authentication request to the wrong tenant."
        ),
    ),
    700021: (
        401,
        "invalid_client",
        (
            "Client assertion application identifier doesn't match 'client_id' parameter. Review the documentation at "
            "https://learn.microsoft.com/entra/identity-platform/certificate-credentials ."
        ),
    ),
    700023: (
        401,
        "invalid_client",
        (
            "Client assertion audience claim does not match Realm issuer. Review the documentation at "
            "https://learn.microsoft.com/entra/identity-platform/certificate-credentials ."
        ),
    ),
    700024: (
        401,
        "invalid_client",
        (
            "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {start}, expiry time "
            "of assertion {end}."
        ),
    ),
    700027: (
        401,
        "invalid_client",
        (
            "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - "
            "{reason}, Thumbprint of key used by client: '{thumbprint}', Please visit the Azure Portal, Graph Explorer or "
            "directly use MS Graph to see configured keys for app Id '{client_id}'."
        ),
    ),
    700211: (
        400,
        "invalid_request",
        "No matching federated identity record found for presented assertion issuer '{issuer}'.",
    ),
    700212: (
        400,
        "invalid_request",
        "No matching federated identity record found for presented assertion audience '{audience}'.",
    ),
    700213: (
        400,
        "invalid_request",
        "No matching federated identity record found for presented assertion subject '{subject}'.",
    ),
    900023: (
        400,
        "invalid_request",
        "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain.",
    ),
    900144: (400, "invalid_request", "The request body must contain the following parameter: '{parameter}'."),
    900561: (405, "invalid_request", "The endpoint only accepts POST requests. Received a {method} request."),
    901002: (400, "invalid_request", "The 'resource' request parameter is not supported."),
    1002012: (
        400,
        "invalid_scope",
        (
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default "
            "suffixed to the resource identifier (application ID URI)."
        ),
    ),
    5002738: (
        400,
        "invalid_request",
        (
            "Invalid JWT token. '{algorithm}' is not a supported signature algorithm. Supported signing algorithms are: "
            "'RS256, PS256'."
        ),
    ),
    7000112: (400, "unauthorized_client", "Application '{client_id}'({name}) is disabled."),
    7000215: (
        401,
        "invalid_client",
        (
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the "
            "client secret ID, for a secret added to app '{client_id}'."
        ),
    ),
    7000218: (
        401,
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    7000222: (401, "invalid_client", "The provided client secret keys for app '{client_id}' are expired."),
    7000229: (
        401,
        "invalid_client",
        (
            "The client application {client_id} is missing service principal in the tenant {tenant}. See instructions here: "
            "https://go.microsoft.com/fwlink/?linkid=2225119"
        ),
    ),
}


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


class NamedInText(dict[str, str]):
    """Values for a text; a name without a value stays empty."""

    def __missing__(self, name: str) -> str:
        return ""


def refusal(number: int, *, text: str = "", **values: str) -> AuthorityError:
    """The refusal with this number, with its usual text or another."""
    status, error, usual = REFUSALS.get(number, (400, "invalid_request", "The request was refused."))
    return AuthorityError(status, error, number, text or usual.format_map(NamedInText(values)))
