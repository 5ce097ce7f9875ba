"""What the provider says of a user elsewhere than in the ID token: at its UserInfo endpoint (OpenID Connect Core 1.0, section 5.3).

Only claims about the user are taken from there, never how and when somebody signed in, and only those that the ID token
lacks. The subject must be that of the token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any

import jwt

from kmes.accounts.company_sign_on import transport
from kmes.accounts.company_sign_on.documents import Metadata
from kmes.accounts.company_sign_on.errors import NotAllowed, SignOnRefused
from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.company_sign_on.tokens import check_text

# What an access token may hold (RFC 6750, section 2.1), so that it fits into a header.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_MAX_TOKEN = 16 * 1024
_ABOUT_THE_USER = ("given_name", "family_name")
# They belong together: whether an address is verified is said of this address.
_MAIL = ("email", "email_verified")
# Of the sign-in, not of the user.
_OF_THE_TOKEN = frozenset({"iss", "sub", "aud", "azp", "exp", "iat", "nbf", "nonce", "auth_time", "acr", "amr", "sid"})


def complete(
    provider: SignOnProvider, metadata: Metadata, claims: dict[str, Any], answer: dict[str, Any]
) -> dict[str, Any]:
    """Return the claims of an ID token; if it lacks the groups or the user name, with those of UserInfo.

    ``answer`` is what the token endpoint sent, with the access token.

    Raises:
        SignOnRefused: UserInfo can't be had or is of another subject, or the groups are nowhere to be had.

    """
    wanted = (provider.groups_claim, provider.username_claim)
    if all(name in claims for name in wanted):
        return claims
    found = _read(metadata, claims, answer) if metadata.userinfo_endpoint else {}
    names = [*wanted, *_ABOUT_THE_USER, *(() if _MAIL[0] in claims else _MAIL)]
    more = {name: found[name] for name in names if name in found and name not in _OF_THE_TOKEN | claims.keys()}
    if _MAIL[0] in more:
        claims = {name: value for name, value in claims.items() if name not in _MAIL}
    merged = {**more, **claims}
    if provider.groups_claim not in merged and _are_groups_elsewhere(provider, claims):
        raise NotAllowed(
            "the user is in more groups than the provider puts into a token (_claim_names, hasgroups): have it send the"
            " groups assigned to the application only, or use app roles with the claim 'roles'"
        )
    return merged


def _are_groups_elsewhere(provider: SignOnProvider, claims: dict[str, Any]) -> bool:
    """Return whether the token says that the groups are left out (docs/company-sign-on.md#providers)."""
    names = claims.get("_claim_names")
    return (isinstance(names, dict) and provider.groups_claim in names) or bool(claims.get("hasgroups"))


def _read(metadata: Metadata, claims: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    token = answer.get("access_token")
    if not isinstance(token, str) or len(token) > _MAX_TOKEN or not _TOKEN.fullmatch(token):
        raise SignOnRefused("the ID token lacks claims, and no access token for UserInfo came with it")
    if str(answer.get("token_type", "")).lower() != "bearer":
        raise SignOnRefused("the access token for UserInfo is no bearer token")
    _check_hash(claims, token, str(answer["id_token"]))
    found = transport.get_json(metadata.userinfo_endpoint, {"Authorization": f"Bearer {token}"})
    # Against another user's answer (OpenID Connect Core 1.0, section 5.3.2).
    if found.get("sub") != claims["sub"]:
        raise SignOnRefused("UserInfo is of another subject than the ID token")
    check_text(found)
    return found


def _check_hash(claims: dict[str, Any], token: str, id_token: str) -> None:
    """Refuse an access token that was exchanged, where the ID token tells (OpenID Connect Core 1.0, section 3.1.3.6)."""
    if "at_hash" not in claims:
        return
    algorithm = str(jwt.get_unverified_header(id_token)["alg"])
    # Ed25519 hashes with SHA-512.
    digest = hashlib.new(f"sha{algorithm[2:]}" if algorithm[2:].isdigit() else "sha512", token.encode()).digest()
    expected = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    if not hmac.compare_digest(str(claims["at_hash"]).encode(), expected):
        raise SignOnRefused("the access token is not that of the ID token (at_hash)")
