"""Challenges of passkeys: random, for one session and purpose, for five minutes, and answered once.

A signed cookie holds the challenge that a browser was given, so a stranger who asks for many leaves no row. A row
is added when one is answered rightly; of two answers at the same moment the row lets one pass.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from kmes.accounts import single_use
from kmes.accounts.second_factor.services import FactorRefused
from kmes.accounts.session_store import name_of
from kmes.core.clock import now

# Beside the session's cookie, with the same prefix.
COOKIE_NAME = settings.SESSION_COOKIE_NAME.replace("_session", "_passkey")
VALID_FOR = timedelta(minutes=5)
_BYTES = 32
_SALT = "kmes.passkey.challenge"


class Purpose(StrEnum):
    """What the answer to a challenge is for; it serves no other purpose."""

    SIGN_IN = "sign_in"
    SECOND_STEP = "second_step"
    CONFIRM = "confirm"
    ADD = "add"
    STATEMENTS = "statements"
    SECOND = "second_administrator"


@dataclass(frozen=True)
class Challenge:
    """A challenge, and the handle of the user for whom a passkey is made."""

    value: bytes
    handle: bytes = b""


def issue(
    request: HttpRequest, response_to: Purpose, *, user_id: int | None = None, handle: bytes = b""
) -> tuple[Challenge, str]:
    """Make a challenge. Return it, and the cookie's value for ``write``."""
    challenge = Challenge(secrets.token_bytes(_BYTES), handle)
    noted = {
        "value": base64.b64encode(challenge.value).decode(),
        "handle": base64.b64encode(handle).decode(),
        "at": now().timestamp(),
        **_place(request, response_to, user_id),
    }
    return challenge, signing.dumps(noted, salt=_SALT)


def write(response: HttpResponse, cookie: str) -> None:
    """Give the browser the cookie of a challenge."""
    response.set_cookie(
        COOKIE_NAME,
        cookie,
        max_age=int(VALID_FOR.total_seconds()),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


def given(request: HttpRequest, purpose: Purpose, *, user_id: int | None = None) -> Challenge:
    """Return the challenge that this session was given for a purpose.

    Raises:
        FactorRefused: there is none, it is for another session, user or purpose, or its time is over.

    """
    refused = FactorRefused(_("The request for the passkey is no longer valid."), _("Try again."), field="passkey")
    try:
        noted = signing.loads(request.COOKIES.get(COOKIE_NAME, ""), salt=_SALT)
    except signing.BadSignature:
        raise refused from None
    is_fresh = 0 <= now().timestamp() - noted.pop("at") <= VALID_FOR.total_seconds()
    challenge = Challenge(base64.b64decode(noted.pop("value")), base64.b64decode(noted.pop("handle")))
    if not is_fresh or noted != _place(request, purpose, user_id):
        raise refused
    return challenge


def use_up(challenge: Challenge) -> bool:
    """Note that a challenge was answered. Return whether this is the first time. Call inside a transaction."""
    return single_use.use_up(challenge.value)


def _place(request: HttpRequest, purpose: Purpose, user_id: int | None) -> dict[str, str | int | None]:
    key = request.session.session_key
    return {"purpose": str(purpose), "user": user_id, "session": name_of(key) if key else ""}
