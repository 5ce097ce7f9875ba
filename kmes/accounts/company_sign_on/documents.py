"""What the provider publishes about itself: its addresses (OpenID Connect Discovery) and the keys that it signs with.

Both are kept in this process for some minutes. A key that is not known is looked for once more, after a pause; after a
failure nothing is asked for some seconds, so that strangers can't make the console ask at will.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kmes.accounts.company_sign_on import transport
from kmes.accounts.company_sign_on.errors import ProviderFault, ProviderUnreachable, SignOnRefused
from kmes.core.clock import steady
from kmes.core.errors import InputError

KEPT_SECONDS = 600
# Between two readings of the keys because one was not known, and after a failure.
PAUSE_SECONDS = 15
WELL_KNOWN = "/.well-known/openid-configuration"
# By signatures alone: an HMAC under the client secret, or no signature, is never taken.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_KEY_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_MAX_KEYS = 50
T = TypeVar("T")


@dataclass(frozen=True)
class Metadata:
    """What a provider says about itself, as far as it is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    algorithms: tuple[str, ...]
    # Whether it takes the client secret in the header, and not in the form alone.
    takes_basic: bool
    # Whether its answers to the browser name it (RFC 9207).
    names_itself: bool
    # "" where it names none that is allowed.
    end_session_endpoint: str = ""
    userinfo_endpoint: str = ""
    # What the settings page shows.
    raw: dict[str, Any] = field(repr=False, default_factory=dict)


@dataclass
class _Kept:
    value: Any = None
    read_at: float | None = None
    failed_at: float | None = None
    # In words: the error itself would keep the request and its connection.
    failure: str = ""


_kept: dict[tuple[str, str], _Kept] = {}
_lock = threading.Lock()
_MAX_KEPT = 16


def read_metadata(issuer: str) -> Metadata:
    """Return what a provider says about itself.

    Raises:
        SignOnRefused: it can't be read, or is not of this issuer.

    """
    return _keep("metadata", issuer, lambda: parse_metadata(issuer, transport.get_json(address_of(issuer))))


def address_of(issuer: str) -> str:
    """Return the address of an issuer's metadata."""
    return issuer.rstrip("/") + WELL_KNOWN


def parse_metadata(issuer: str, raw: dict[str, Any]) -> Metadata:
    """Check metadata.

    Raises:
        SignOnRefused: it is of another issuer, or lacks what is needed.

    """
    # Exactly the same, or the document speaks for somebody else (OpenID Connect Discovery 1.0, section 4.3).
    if raw.get("issuer") != issuer:
        raise ProviderFault(f"the metadata is of the issuer {str(raw.get('issuer'))[:200]!r}, not {issuer!r}")
    found = {name: _optional(raw, name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    for name, address in found.items():
        if not address:
            raise ProviderFault(f"the metadata names no allowed https address as {name}")
    algorithms = tuple(each for each in ALGORITHMS if each in _texts(raw, "id_token_signing_alg_values_supported"))
    methods = _texts(raw, "token_endpoint_auth_methods_supported")
    return Metadata(
        issuer=issuer,
        algorithms=algorithms or ("RS256",),
        # Without a list the header is meant (OpenID Connect Discovery 1.0, section 3).
        takes_basic=not methods or "client_secret_basic" in methods,
        names_itself=raw.get("authorization_response_iss_parameter_supported") is True,
        end_session_endpoint=_optional(raw, "end_session_endpoint"),
        userinfo_endpoint=_optional(raw, "userinfo_endpoint"),
        raw=raw,
        **found,
    )


def _optional(raw: dict[str, Any], name: str) -> str:
    """Return an address of the metadata, "" if it names none that is allowed."""
    value = raw.get(name)
    try:
        transport.parse(value if isinstance(value, str) else "")
    except InputError:
        return ""
    return str(value)


def find_keys(metadata: Metadata, *, algorithm: str, key_id: str | None) -> list[dict[str, Any]]:
    """Return the keys that may have made a signature. One that is not known is looked for at the provider again.

    Raises:
        SignOnRefused: the keys can't be read, or none fits.

    """
    name = ("keys", metadata.jwks_uri)
    keys = _keep(*name, lambda: read_keys(metadata))
    if not (fitting := _fitting(keys, algorithm, key_id)) and _may_read_again(name):
        keys = _keep(*name, lambda: read_keys(metadata), kept_seconds=PAUSE_SECONDS)
        fitting = _fitting(keys, algorithm, key_id)
    if not fitting:
        raise SignOnRefused(f"the provider has no key {key_id!r:.100} for {algorithm}")
    return fitting


def read_keys(metadata: Metadata) -> list[dict[str, Any]]:
    """Read the keys that the provider signs with.

    Raises:
        SignOnRefused: they can't be read.

    """
    keys = transport.get_json(metadata.jwks_uri).get("keys")
    found = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
    if not found:
        raise ProviderUnreachable(f"{metadata.jwks_uri} answered no keys")
    return found[:_MAX_KEYS]


def forget() -> None:
    """Read everything again when it is needed next: the settings were changed, or are tested."""
    with _lock:
        _kept.clear()


def is_usable(key: dict[str, Any], algorithm: str) -> bool:
    """Return whether a key may have made a signature of this algorithm. A private key that was published is nobody's."""
    return (
        key.get("kty") == _KEY_KINDS[algorithm[:2]]
        and "d" not in key
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
    )


def _fitting(keys: list[dict[str, Any]], algorithm: str, key_id: str | None) -> list[dict[str, Any]]:
    usable = [key for key in keys if is_usable(key, algorithm)]
    # A token without the id of its key is taken only where there is no choice (OpenID Connect Core 1.0, section 10.1).
    if key_id is None:
        return usable if len(usable) == 1 else []
    return [key for key in usable if key.get("kid") == key_id]


def _texts(raw: dict[str, Any], name: str) -> list[str]:
    values = raw.get(name)
    return [each for each in values if isinstance(each, str)] if isinstance(values, list) else []


def _may_read_again(name: tuple[str, str]) -> bool:
    kept = _kept.get(name)
    return kept is not None and kept.read_at is not None and steady() - kept.read_at >= PAUSE_SECONDS


def _keep(kind: str, address: str, read: Callable[[], T], *, kept_seconds: float = KEPT_SECONDS) -> T:
    """Return what was read lately, or read it. Two threads may both read; the later answer stays."""
    with _lock:
        kept = _kept.setdefault((kind, address), _Kept())
    moment = steady()
    if kept.read_at is not None and moment - kept.read_at < kept_seconds:
        value: T = kept.value
        return value
    if kept.failed_at is not None and moment - kept.failed_at < PAUSE_SECONDS:
        raise ProviderUnreachable(kept.failure)
    try:
        value = read()
    except SignOnRefused as error:
        kept.failure, kept.failed_at = error.detail, moment
        raise
    with _lock:
        while len(_kept) > _MAX_KEPT:
            _kept.pop(next(iter(_kept)))
        kept.value, kept.read_at, kept.failed_at = value, steady(), None
    return value
