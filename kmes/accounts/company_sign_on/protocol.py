"""The authorization code flow with PKCE (OpenID Connect Core 1.0, section 3.1; RFC 7636; RFC 9207)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus, urlencode

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from kmes.accounts.company_sign_on import documents, seals, tokens, transport, user_info
from kmes.accounts.company_sign_on.attempts import Attempt, Purpose
from kmes.accounts.company_sign_on.errors import NotAllowed, SignOnRefused
from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.core.clock import now
from kmes.core.known_secrets import remember

MAX_PARAMETER = 4096
_MAX_VALUES = 1000
_PARAMETERS = ("state", "code", "iss", "error", "error_description")


@dataclass(frozen=True)
class Answer:
    """What the provider sent with the browser; "" for what it did not send."""

    state: str
    code: str
    iss: str
    error: str
    error_description: str


@dataclass(frozen=True)
class Proven:
    """Who the provider says it is. All of it stood in a token that held."""

    issuer: str
    subject: str
    claims: dict[str, Any]
    # The ID token itself, a hint for the sign-out at the provider.
    id_token: str = field(default="", repr=False)

    def texts(self, name: str) -> list[str]:
        """Return the texts of a claim that holds one text or several."""
        value = self.claims.get(name)
        values = value if isinstance(value, list) else [value]
        return [each for each in values[:_MAX_VALUES] if isinstance(each, str) and each]

    def text(self, name: str) -> str:
        """Return the text of a claim, "" if it holds none."""
        return next(iter(self.texts(name)), "")


def console_address(request: HttpRequest, view: str) -> str:
    """Return the address of a page as the provider has to know it."""
    path = reverse(view)
    return settings.KMES_PUBLIC_URL.rstrip("/") + path if settings.KMES_PUBLIC_URL else request.build_absolute_uri(path)


def authorization_address(request: HttpRequest, provider: SignOnProvider, attempt: Attempt) -> str:
    """Return where the browser is sent to sign in.

    Raises:
        SignOnRefused: the provider can't be asked.

    """
    endpoint = documents.read_metadata(provider.issuer).authorization_endpoint
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": console_address(request, "accounts:sign_on_answer"),
        "scope": provider.scopes,
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": attempt.challenge,
        "code_challenge_method": "S256",
    }
    if attempt.purpose is Purpose.CONFIRM:
        query |= {"prompt": "login", "max_age": "0"}
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def read_answer(request: HttpRequest) -> Answer:
    """Return what the provider sent.

    Raises:
        SignOnRefused: a parameter came twice, or is longer than any.

    """
    for name in _PARAMETERS:
        values = request.GET.getlist(name)
        if len(values) > 1 or len("".join(values)) > MAX_PARAMETER:
            raise SignOnRefused(f"the provider's answer has several {name}, or a longer one than any")
    return Answer(**{name: request.GET.get(name, "") for name in _PARAMETERS})


def redeem(request: HttpRequest, provider: SignOnProvider, attempt: Attempt, answer: Answer) -> Proven:
    """Exchange the code of an answer, and check the ID token that comes for it.

    Raises:
        SignOnRefused: the provider refuses the code, or its answer does not hold.

    """
    metadata = documents.read_metadata(provider.issuer)
    # Against an answer of another provider (RFC 9207, section 2.4).
    if (metadata.names_itself or answer.iss) and answer.iss != metadata.issuer:
        raise SignOnRefused(f"the answer names the issuer {answer.iss[:200]!r}, not {metadata.issuer!r}")
    if answer.error or not answer.code:
        raise _refused_by_provider(answer)
    remember(answer.code)
    secret = seals.open_provider(provider)
    fields = {
        "grant_type": "authorization_code",
        "code": answer.code,
        "redirect_uri": console_address(request, "accounts:sign_on_answer"),
        "code_verifier": attempt.verifier,
    }
    headers = {}
    if metadata.takes_basic:
        # Each half form-encoded first (RFC 6749, section 2.3.1).
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(secret.reveal())}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        fields |= {"client_id": provider.client_id, "client_secret": secret.reveal()}
    status, found = transport.post_form(metadata.token_endpoint, fields, headers)
    if status != HTTPStatus.OK:
        error, described = (str(found.get(name, ""))[:200] for name in ("error", "error_description"))
        raise SignOnRefused(f"the token endpoint answered HTTP {status}: {error} {described}")
    for name in ("id_token", "access_token", "refresh_token"):
        if isinstance(found.get(name), str):
            remember(found[name])
    claims = tokens.check_id_token(
        found.get("id_token"), metadata=metadata, client_id=provider.client_id, nonce=attempt.nonce
    )
    if attempt.purpose is Purpose.CONFIRM:
        _check_freshness(claims, attempt)
    else:
        claims = user_info.complete(provider, metadata, claims, found)
    return Proven(metadata.issuer, claims["sub"], claims, str(found["id_token"]))


def _refused_by_provider(answer: Answer) -> SignOnRefused:
    detail = f"the provider answered {answer.error[:100] or 'no code'}: {answer.error_description[:200]}"
    if answer.error == "access_denied":
        return NotAllowed(
            detail, _("The identity provider did not sign you in."), _("Begin again, or ask an administrator.")
        )
    return NotAllowed(detail)


def _check_freshness(claims: dict[str, Any], attempt: Attempt) -> None:
    """Refuse a confirmation by a sign-in at the provider that was made before it was asked for."""
    signed_in_at = claims.get("auth_time")
    earliest, latest = attempt.began_at - tokens.SKEW_SECONDS, now().timestamp() + tokens.SKEW_SECONDS
    if not isinstance(signed_in_at, int | float) or not earliest <= signed_in_at <= latest:
        raise SignOnRefused("the provider did not ask for a new sign-in (auth_time)")
