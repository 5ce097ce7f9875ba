"""Sign-ins that were sent to the provider, and wait in the browser for its answer.

A signed cookie holds a random seed for each; state, nonce and PKCE verifier are derived from it, so nobody else's answer
fits, and a stranger who begins many leaves no row. An answer is taken once: its state is then a row.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.session_store import name_of
from kmes.core.clock import now

# Beside the session's cookie, with the same prefix.
COOKIE_NAME = settings.SESSION_COOKIE_NAME.replace("_session", "_sign_on")
VALID_FOR = timedelta(minutes=10)
# In several tabs of one browser.
MAX_WAITING = 4
MAX_NEXT = 500
_BYTES = 24
_SALT = "kmes.sign_on.attempt"


class Purpose(StrEnum):
    """What an answer of the provider is for; it serves no other purpose."""

    SIGN_IN = "sign_in"
    CONFIRM = "confirm"
    TRIAL = "trial"


@dataclass(frozen=True)
class Attempt:
    """One sign-in on its way: where it leads, and for whom it began, if somebody is signed in already."""

    seed: str
    purpose: Purpose
    place: str
    next_url: str
    began_at: float

    @property
    def state(self) -> str:
        """Return what the provider has to send back."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """Return what the ID token has to hold."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """Return the secret of PKCE, which goes to the provider with the code."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """Return what the provider gets of the verifier before: its SHA-256 (RFC 7636, method S256)."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())

    def _derived(self, what: str) -> str:
        return _text(salted_hmac(f"{_SALT}.{what}", self.seed, algorithm="sha256").digest())


def begin(request: HttpRequest, provider: SignOnProvider, purpose: Purpose, *, next_url: str) -> Attempt:
    """Make an attempt. ``write`` gives it to the browser."""
    shortened = next_url if len(next_url) <= MAX_NEXT else ""
    place = _place(request, provider, purpose)
    return Attempt(secrets.token_urlsafe(_BYTES), purpose, place, shortened, now().timestamp())


def write(request: HttpRequest, response: HttpResponse, attempt: Attempt) -> None:
    """Add an attempt to the browser's cookie. The oldest ones give way."""
    _set_cookie(response, [*_waiting(request), attempt][-MAX_WAITING:])


def take(request: HttpRequest, response: HttpResponse, state: str) -> Attempt | None:
    """Return this browser's attempt with a state, and remove it from the cookie; None if it has none."""
    waiting = _waiting(request)
    found = next((each for each in waiting if hmac.compare_digest(each.state.encode(), state.encode())), None)
    if found is not None:
        _set_cookie(response, [each for each in waiting if each is not found])
    return found


def is_here(request: HttpRequest, provider: SignOnProvider, attempt: Attempt) -> bool:
    """Return whether an attempt began with these settings, and, if somebody was signed in, in this session."""
    return hmac.compare_digest(attempt.place, _place(request, provider, attempt.purpose))


def _place(request: HttpRequest, provider: SignOnProvider, purpose: Purpose) -> str:
    parts = [str(purpose), provider.issuer, provider.client_id]
    if purpose is not Purpose.SIGN_IN:
        parts += [str(request.user.pk), name_of(str(request.session.session_key))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _waiting(request: HttpRequest) -> list[Attempt]:
    try:
        noted: list[dict[str, Any]] = signing.loads(request.COOKIES.get(COOKIE_NAME, ""), salt=_SALT)
    except signing.BadSignature:
        return []
    found = [Attempt(each["s"], Purpose(each["p"]), each["w"], each["n"], each["t"]) for each in noted]
    moment = now().timestamp()
    return [each for each in found if 0 <= moment - each.began_at <= VALID_FOR.total_seconds()]


def _set_cookie(response: HttpResponse, attempts: list[Attempt]) -> None:
    noted = [{"s": a.seed, "p": str(a.purpose), "w": a.place, "n": a.next_url, "t": a.began_at} for a in attempts]
    response.set_cookie(
        COOKIE_NAME,
        signing.dumps(noted, salt=_SALT, compress=True),
        max_age=int(VALID_FOR.total_seconds()),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        # The provider leads back from another site.
        samesite="Lax",
    )


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
