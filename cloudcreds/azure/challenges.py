"""Reads where a vault's challenge (``WWW-Authenticate``) asks for a sign-in, and for what (docs/azure.md#sign-in).

Decides nothing (``answers`` does). What the SDK would read in another way is no challenge.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

# What stands in an authority's address in the place of a tenant.
_NO_TENANTS = frozenset({"", "common", "organizations", "consumers"})


@dataclass(frozen=True)
class Challenge:
    """A challenge.

    Attributes:
        tenant: as the challenge writes it; "" for one with claims, which names none and means the tenant known before.
        resources: what the token is to be for, without "/.default".

    """

    tenant: str
    resources: tuple[str, ...]


def read_challenge(text: str) -> Challenge | None:
    """Return what the header asks for; None when it asks for no sign-in that the SDK can make."""
    # Taken apart as the SDK does it: quotes or not, names as they are written.
    items = [item.partition("=") for item in text.partition(" ")[2].split(",") if "=" in item]
    pairs = [(name.strip(' "'), value.strip(" \"'")) for name, _sign, value in items]
    given = {name: value for name, value in pairs if "=" not in value or name == "claims"}
    authority = given.get("authorization_uri") or given.get("authorization") or ""
    # If a member occurs twice, the SDK might use the other one.
    stands_once = len({name.lower() for name, _value in pairs}) == len(pairs)
    if not text.lower().startswith("bearer ") or "\n" in text or not stands_once or not _path_of(authority):
        return None
    named = (given.get(name, "").removesuffix("/.default").rstrip("/") for name in ("resource", "scope"))
    resources = tuple(each for each in named if each)
    if "claims" in given:
        return Challenge("", resources) if _are_claims(given["claims"]) else None
    tenant = tenant_in(authority)
    return Challenge(tenant, resources) if resources and tenant.lower() not in _NO_TENANTS else None


def tenant_in(url: str) -> str:
    """Return the tenant that an authority's address names first in its path; "" for none."""
    return _path_of(url).strip("/").partition("/")[0]


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _are_claims(text: str) -> bool:
    """Return whether claims can be read: an object of JSON in base64url, padded or not."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(claims, dict)
