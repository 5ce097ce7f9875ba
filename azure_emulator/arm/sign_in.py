"""Sign-in at Resource Manager: the token, and refusals with a challenge.

Owns the 401 answers. Source: docs/azure.md, "Resource Manager". Must not know what a client may do.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

from azure_emulator.arm.errors import ArmError
from azure_emulator.http_request import HttpRequest
from azure_emulator.identity.clients import Client
from azure_emulator.identity.tokens import ISSUER_PREFIX, TokenRefused

if TYPE_CHECKING:
    from azure_emulator.state import State


def authenticate(state: State, request: HttpRequest) -> Client:
    """The client whose token a request carries; ArmError 401 otherwise."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise refusal(
            state, request, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.",
            "The authentication failed because of missing 'Authorization' header.",
        )  # fmt: skip
    try:
        claims = state.signer.verify(token.strip())
    except TokenRefused as error:
        if error.expired_at is None:
            raise refusal(state, request, "InvalidAuthenticationToken", "The access token is invalid.") from error
        raise refusal(
            state, request, "ExpiredAuthenticationToken",
            f"The access token expiry UTC time '{written(error.expired_at)}' is earlier than current UTC time "
            f"'{written(time.time())}'.",
        ) from error  # fmt: skip
    audiences = state.options.cloud.arm_audiences
    if str(claims.get("aud", "")).rstrip("/") not in audiences:
        allowed = ",".join(f"'{audience}/','{audience}'" for audience in reversed(audiences))
        raise refusal(
            state, request, "InvalidAuthenticationTokenAudience",
            f"The access token has been obtained for wrong audience or resource '{claims.get('aud')}'. It should exactly "
            f"match with one of the allowed audiences {allowed}.",
        )  # fmt: skip
    client = state.clients.get(str(claims.get("appid", "")).lower())
    if client is None:
        raise refusal(state, request, "InvalidAuthenticationToken", "The access token is from an unknown application.")
    check_tenant(state, request, client)
    return client


def check_tenant(state: State, request: HttpRequest, client: Client) -> None:
    """Refuse a client of another tenant than that of the subscription."""
    expected = tenant_of(state, request)
    if expected in ("", client.tenant_id.lower()):
        return
    raise refusal(
        state, request, "InvalidAuthenticationTokenTenant",
        f"The access token is from the wrong issuer '{ISSUER_PREFIX}{client.tenant_id}/'. It must match the tenant "
        f"'{ISSUER_PREFIX}{expected}/' associated with this subscription. Please use the authority (URL) "
        f"'{authority(state, request)}/{expected}' to get the token. Note, if the subscription is transferred to another "
        "tenant there is no impact to the services, but information about new tenant could take time to propagate (up to an "
        "hour). If you just transferred your subscription and see this error message, please try back later.",
        "The access token is from the wrong issuer. It must match the tenant associated with this subscription. Please use "
        "correct authority to get the token.",
    )  # fmt: skip


def tenant_of(state: State, request: HttpRequest) -> str:
    """The tenant of the subscription in the path; empty where there is none or it is unknown."""
    first, identifier = [*(segment.lower() for segment in request.segments[:2]), "", ""][:2]
    subscription = state.subscriptions.get(identifier) if first == "subscriptions" else None
    return subscription.tenant_id if subscription else ""


def authority(state: State, request: HttpRequest) -> str:
    """Where to get a token: Resource Manager names the oldest of the authority's names."""
    cloud = state.options.cloud
    if request.host != cloud.manager:
        return request.base
    return "https://login.windows.net" if "login.windows.net" in cloud.authorities else f"https://{cloud.authority}"


def refusal(state: State, request: HttpRequest, code: str, message: str, description: str = "") -> ArmError:
    """A 401 whose challenge names the tenant of the subscription, so that clients can find it out."""
    challenge = (
        f'Bearer authorization_uri="{authority(state, request)}/{tenant_of(state, request)}", error="invalid_token", '
        f'error_description="{description or message}"'
    )
    return ArmError(401, code, message, {"www-authenticate": challenge})


def written(seconds: float) -> str:
    """A time as Resource Manager writes it, in UTC: ``8/21/2018 3:22:00 PM``."""
    day = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return f"{day.month}/{day.day}/{day.year} {day.hour % 12 or 12}:{day:%M:%S} {day:%p}"
