"""Tenant domains and foreign token issuers, set through the control API.

Owns the bodies of these routes. An issuer registered without keys uses the stand-in's
signing key, so that the control API can issue its tokens. Must not check assertions.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from azure_emulator.changes import BadChange
from azure_emulator.identity.clients import FEDERATED_AUDIENCE, SEED_TENANT
from azure_emulator.state import State

TOKEN_LIFETIME_SECONDS = 3600


def read_text(body: Any, name: str) -> str:
    """A member that must be a text and not empty."""
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise BadChange(f"'{name}' is needed.")
    return value


def add_domains(state: State, body: Any) -> dict[str, str]:
    """Add verified domain names of a tenant."""
    domains = body.get("domains") if isinstance(body, dict) else None
    if not isinstance(domains, list) or not all(isinstance(name, str) and name for name in domains):
        raise BadChange("'domains' is a list of names.")
    tenant = str(body.get("tenant_id") or SEED_TENANT).lower()
    state.domains.update(dict.fromkeys((name.lower() for name in domains), tenant))
    return state.domains


def add_issuer(state: State, body: Any) -> dict[str, Any]:
    """Register the keys a foreign issuer publishes."""
    issuer = read_text(body, "issuer")
    keys = body.get("jwks") or state.signer.jwks(issuer)
    if not isinstance(keys, dict) or not isinstance(keys.get("keys"), list):
        raise BadChange("'jwks' is a JSON Web Key set.")
    state.issuers[issuer] = keys
    return {"issuer": issuer, "jwks": keys}


def issue_token(state: State, body: Any) -> dict[str, str]:
    """Issue a token of a foreign issuer that was registered without keys."""
    issuer, subject = read_text(body, "issuer"), read_text(body, "subject")
    lifetime = body.get("lifetime", TOKEN_LIFETIME_SECONDS)
    if isinstance(lifetime, bool) or not isinstance(lifetime, (int, float)):
        raise BadChange("'lifetime' is a number of seconds.")
    now = int(time.time())
    audience = str(body.get("audience") or FEDERATED_AUDIENCE)
    claims = {
        "iss": issuer, "sub": subject, "aud": audience, "iat": now, "nbf": now, "exp": now + int(lifetime),
        "jti": str(uuid.uuid4()),
    }  # fmt: skip
    return {"token": state.signer.sign(claims)}
