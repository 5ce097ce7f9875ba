"""Leads the browser to the sign-out at the provider, after that of the console (OpenID Connect RP-Initiated Logout 1.0).

The console's session has ended before anything here is done, so a provider that is away changes nothing about that.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kmes.accounts.company_sign_on import documents, protocol, seals
from kmes.accounts.company_sign_on.errors import SignOnRefused
from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.company_sign_on.protocol import Proven
from kmes.accounts.company_sign_on.selectors import active_provider
from kmes.accounts.second_factor.seals import SealError, open_seal, seal
from kmes.accounts.second_factor.views import uncached

# Beside the session's cookie, with the same prefix.
COOKIE_NAME = settings.SESSION_COOKIE_NAME.replace("_session", "_sign_out")
COOKIE_SECONDS = 600
# A longer token would not fit into an address everywhere; the client's id alone is sent then.
MAX_HINT = 4096
_PURPOSE = "sign-on hint"


def noted(provider: SignOnProvider, proven: Proven, *, user_id: int) -> dict[str, str]:
    """Return what a session notes for its end: where it began and, sealed, its ID token."""
    if not provider.signs_out_there:
        return {}
    found = {"issuer": proven.issuer}
    if 0 < len(proven.id_token) <= MAX_HINT:
        sealed = seal(proven.id_token.encode(), user_id=user_id, purpose=_PURPOSE)
        found["hint"] = base64.b64encode(sealed).decode()
    return found


def lead_there(request: HttpRequest, sign_on: dict[str, Any] | None, *, user_id: int | None) -> HttpResponse | None:
    """Return the page that leads to the provider's sign-out; None where the session's end here is all."""
    provider = active_provider()
    if provider is None or not provider.signs_out_there or not sign_on or sign_on.get("issuer") != provider.issuer:
        return None
    state = secrets.token_urlsafe(24)
    try:
        seals.open_provider(provider)
        endpoint = documents.read_metadata(provider.issuer).end_session_endpoint
    except SignOnRefused:
        return None
    if not endpoint:
        return None
    query = {
        "client_id": provider.client_id,
        "post_logout_redirect_uri": protocol.console_address(request, "accounts:sign_on_signed_out"),
        "state": state,
    }
    if hint := _hint(sign_on, user_id or 0):
        query["id_token_hint"] = hint
    address = f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"
    # A page, not a redirect: browsers apply ``form-action 'self'`` to what a form's answer redirects to.
    context = {"provider": provider, "address": address}
    response = uncached(render(request, "accounts/company_sign_on/signed_out.html", context))
    response.headers["Refresh"] = f"0; url={address}"
    response.set_cookie(
        COOKIE_NAME,
        state,
        max_age=COOKIE_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        # The provider leads back from another site.
        samesite="Lax",
    )
    return response


def has_returned(request: HttpRequest) -> bool:
    """Return whether this browser was sent to the provider's sign-out and comes back from there."""
    known = request.COOKIES.get(COOKIE_NAME, "")
    return bool(known) and hmac.compare_digest(known.encode(), request.GET.get("state", "").encode())


def forget(response: HttpResponse) -> None:
    """Take the cookie from the browser."""
    response.delete_cookie(COOKIE_NAME, samesite="Lax")


def _hint(sign_on: dict[str, Any], user_id: int) -> str:
    try:
        return open_seal(base64.b64decode(sign_on.get("hint", "")), user_id=user_id, purpose=_PURPOSE).decode()
    # The key may have been changed meanwhile.
    except (SealError, ValueError):
        return ""
