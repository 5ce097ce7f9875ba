"""Checks what the provider signed: ID tokens and logout tokens (OpenID Connect Core 1.0, section 3.1.3.7).

PyJWT checks signature, times, issuer and audience. Here stands which keys and algorithms may be used, and what else a
token has to say. Of both kinds neither is taken for the other.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

import jwt
from jwt import PyJWK

from kmes.accounts.company_sign_on import documents
from kmes.accounts.company_sign_on.documents import Metadata
from kmes.accounts.company_sign_on.errors import SignOnRefused
from kmes.core.clock import now

# Between the provider's clock and this one.
SKEW_SECONDS = 60
# An ID token is made when it is asked for, and a logout token when it is sent.
MAX_AGE_SECONDS = 300
MAX_LENGTH = 64 * 1024
MAX_SUBJECT = 255
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_LOGOUT_TYPE = "logout+jwt"
# Those of access tokens and others are refused.
_ID_TYPES, _LOGOUT_TYPES = ("", "jwt"), ("", "jwt", _LOGOUT_TYPE)


def check_id_token(token: Any, *, metadata: Metadata, client_id: str, nonce: str) -> dict[str, Any]:
    """Return the claims of an ID token.

    Raises:
        SignOnRefused: it does not hold for this sign-in.

    """
    claims = _check(token, metadata, client_id, types=_ID_TYPES, required=("sub", "nonce"))
    if not hmac.compare_digest(_text(claims, "nonce").encode(), nonce.encode()):
        raise SignOnRefused("the ID token is of another sign-in: its nonce differs")
    if "events" in claims:
        raise SignOnRefused("the ID token holds events, as logout tokens do")
    _check_subject(claims)
    return claims


def check_logout_token(token: Any, *, metadata: Metadata, client_id: str) -> dict[str, Any]:
    """Return the claims of a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.6).

    Raises:
        SignOnRefused: it does not hold.

    """
    claims = _check(token, metadata, client_id, types=_LOGOUT_TYPES, required=("jti", "events"))
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise SignOnRefused("the token is no logout token: its events do not say so")
    if "nonce" in claims:
        raise SignOnRefused("the logout token holds a nonce, as ID tokens do")
    if "sub" not in claims and "sid" not in claims:
        raise SignOnRefused("the logout token names neither a subject nor a session")
    if "sub" in claims:
        _check_subject(claims)
    if not _text(claims, "jti"):
        raise SignOnRefused("the logout token has no jti")
    return claims


def _check(
    token: Any, metadata: Metadata, client_id: str, *, types: tuple[str, ...], required: tuple[str, ...]
) -> dict[str, Any]:
    header = _header(token, metadata)
    if str(header.get("typ") or "").lower().removeprefix("application/") not in types:
        raise SignOnRefused(f"the token is of the type {header.get('typ')!r:.50}")
    algorithm = header["alg"]
    keys = documents.find_keys(metadata, algorithm=algorithm, key_id=header.get("kid"))
    claims = _verify(token, keys, algorithm, metadata.issuer, client_id, (*required, "iss", "aud", "exp", "iat"))
    check_text(claims)
    _check_audience(claims, client_id)
    if now().timestamp() - float(claims["iat"]) > MAX_AGE_SECONDS + SKEW_SECONDS:
        raise SignOnRefused("the token was made too long ago (iat)")
    return claims


def _header(token: Any, metadata: Metadata) -> dict[str, Any]:
    if not isinstance(token, str) or not token or len(token) > MAX_LENGTH or not token.isascii():
        raise SignOnRefused("there is no token, or it is too long or no ASCII")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise SignOnRefused(f"the token can't be read: {type(error).__name__}") from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in documents.ALGORITHMS or algorithm not in metadata.algorithms:
        raise SignOnRefused(f"the token is signed by {algorithm!r:.50}, which is not allowed")
    if key_id is not None and not isinstance(key_id, str):
        raise SignOnRefused("the id of the token's key is no text")
    if "crit" in header:
        raise SignOnRefused("the token demands extensions (crit)")
    return header


def _verify(
    token: str,
    keys: list[dict[str, Any]],
    algorithm: str,
    issuer: str,
    client_id: str,
    required: tuple[str, ...],
) -> dict[str, Any]:
    """Return the claims, if one of the keys made the signature. Several keys may have the same id."""
    refusal: Exception = jwt.InvalidTokenError()
    for key in keys:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                PyJWK(key, algorithm),
                algorithms=[algorithm],
                issuer=issuer,
                audience=client_id,
                leeway=SKEW_SECONDS,
                options={"require": list(required), "enforce_minimum_key_length": True},
            )
        except jwt.InvalidSignatureError as error:
            refusal = error
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise SignOnRefused(f"the token is refused: {type(error).__name__}: {error}") from None
        else:
            return claims
    raise SignOnRefused(f"the token is refused: {type(refusal).__name__}: no key of the provider made its signature")


def check_text(claims: dict[str, Any]) -> None:
    """Refuse halves of characters, which JSON can escape and UTF-8 can't carry: each use of such a text would fail."""
    try:
        json.dumps(claims, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise SignOnRefused("the token holds text that is no Unicode") from None


def _check_audience(claims: dict[str, Any], client_id: str) -> None:
    """Refuse a token that is for another client as well, unless it was made for this one."""
    audiences, party = claims["aud"], claims.get("azp")
    others = set(audiences) - {client_id} if isinstance(audiences, list) else set()
    if (others and party != client_id) or (party is not None and party != client_id):
        raise SignOnRefused("the token was made for another client (aud, azp)")


def _check_subject(claims: dict[str, Any]) -> None:
    subject = _text(claims, "sub")
    if not subject or len(subject) > MAX_SUBJECT or not subject.isprintable():
        raise SignOnRefused("the token names no subject of up to 255 characters")


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
