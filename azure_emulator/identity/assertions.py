"""Client assertions: tokens by which a client proves itself without a secret.

Owns the checks of both kinds: signed by a registered certificate (RFC 7523), and issued
by a foreign issuer that a federated credential names. Source: docs/azure.md, "Sign-in".
Must not issue tokens.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from azure_emulator.identity.aadsts import refusal
from azure_emulator.identity.certificates import load_certificate, thumbprint
from azure_emulator.identity.clients import Client
from azure_emulator.identity.jwt import ALGORITHMS, BadToken, Token, read_token, rsa_key_of

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLOCK_TOLERANCE_SECONDS = 300


class AssertionChecker:
    """Checks assertions; remembers which ones were used."""

    def __init__(self, issuers: Mapping[str, dict[str, Any]]) -> None:
        self._issuers = issuers
        self._used: dict[str, float] = {}

    def check(
        self, client: Client, form: Mapping[str, str], audiences: set[str], *, refuse_replays: bool = False
    ) -> None:
        """Refuse an assertion that does not prove the client; ``audiences`` are the token endpoint's addresses."""
        if not form.get("client_assertion_type"):
            raise refusal(900144, parameter="client_assertion_type")
        if form["client_assertion_type"] != ASSERTION_TYPE:
            raise refusal(90023, reason=f"The client_assertion_type must be '{ASSERTION_TYPE}'.")
        try:
            token = read_token(form["client_assertion"])
        except BadToken as error:
            raise refusal(50027, reason=str(error)) from error
        if token.algorithm not in ALGORITHMS:
            raise refusal(5002738, algorithm=token.algorithm)
        issuer = str(token.claims.get("iss", ""))
        if issuer.lower() == client.client_id.lower() or "://" not in issuer:
            self._check_certificate_assertion(client, token, audiences)
            if refuse_replays:
                self._refuse_replay(client, token)
        else:
            self._check_federated_assertion(client, token)

    def _check_certificate_assertion(self, client: Client, token: Token, audiences: set[str]) -> None:
        claims = token.claims
        own = client.client_id.lower()
        if str(claims.get("iss", "")).lower() != own or str(claims.get("sub", "")).lower() != own:
            raise refusal(700021)
        if claims.get("aud") not in audiences:
            raise refusal(700023)
        check_times(claims)
        if not isinstance(claims.get("jti"), str) or not claims["jti"]:
            raise refusal(50027, reason="The claim 'jti' is missing.")
        certificate = find_certificate(client, token)
        key = certificate.public_key()
        if not token.has_signature_of(key):  # type: ignore[arg-type]  # registered certificates have RSA keys
            raise unregistered(client, token, "Client assertion failed signature validation.")

    def _check_federated_assertion(self, client: Client, token: Token) -> None:
        claims = token.claims
        issuer, subject, audience = (str(claims.get(name, "")) for name in ("iss", "sub", "aud"))
        of_issuer = [each for each in client.federated if each["issuer"] == issuer]
        if not of_issuer:
            raise refusal(700211, issuer=issuer)
        of_subject = [each for each in of_issuer if each["subject"] == subject]
        if not of_subject:
            raise refusal(700213, subject=subject)
        if audience not in [each["audience"] for each in of_subject]:
            raise refusal(700212, audience=audience)
        check_times(claims)
        if not self._has_issuers_signature(token, issuer):
            raise refusal(50013, reason="The signature of the issuer's token is not valid.")

    def _has_issuers_signature(self, token: Token, issuer: str) -> bool:
        """Whether a key that the issuer publishes under the token's ``kid`` signed it."""
        keys = self._issuers.get(issuer, {}).get("keys", [])
        for jwk in keys:
            if not isinstance(jwk, dict) or jwk.get("kid") != token.header.get("kid"):
                continue
            try:
                if token.has_signature_of(rsa_key_of(jwk)):
                    return True
            except ValueError:
                continue
        return False

    def _refuse_replay(self, client: Client, token: Token) -> None:
        now = time.time()
        self._used = {name: expiry for name, expiry in self._used.items() if expiry > now}
        name = f"{client.client_id.lower()} {token.claims['jti']}"
        if name in self._used:
            raise refusal(50013, reason="The assertion has been used before.")
        self._used[name] = float(token.claims["exp"]) + CLOCK_TOLERANCE_SECONDS


def find_certificate(client: Client, token: Token) -> x509.Certificate:
    """The registered certificate that the header's thumbprints name, inside its validity."""
    given = {"x5t": token.header.get("x5t"), "x5t#S256": token.header.get("x5t#S256")}
    given = {name: str(value).rstrip("=") for name, value in given.items() if value is not None}
    if not given:
        raise refusal(50027, reason="The header names no certificate by 'x5t' or 'x5t#S256'.")
    for pem in client.certificates:
        certificate = load_certificate(pem)
        own = {"x5t": thumbprint(certificate, hashes.SHA1()), "x5t#S256": thumbprint(certificate, hashes.SHA256())}
        if all(own[name] == value for name, value in given.items()):
            if not certificate.not_valid_before_utc <= dt.datetime.now(dt.UTC) < certificate.not_valid_after_utc:
                raise unregistered(client, token, "The key used is expired.")
            return certificate
    raise unregistered(client, token, "The key was not found.")


def unregistered(client: Client, token: Token, reason: str) -> Exception:
    """The refusal of an assertion whose key is unknown, expired or not the signer's."""
    shown = str(token.header.get("x5t") or token.header.get("x5t#S256") or "")
    return refusal(700027, reason=reason, thumbprint=shown, client_id=client.client_id)


def check_times(claims: Mapping[str, Any]) -> None:
    """``exp`` is needed, ``nbf`` counts where it is given; clocks may differ by some minutes."""
    now = time.time()
    start, end = claims.get("nbf", claims.get("iat", 0)), claims.get("exp")
    numbers = [value for value in (start, end) if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) != 2:
        raise refusal(50027, reason="The claims 'exp' and 'nbf' must be numbers of seconds.")
    if not numbers[0] - CLOCK_TOLERANCE_SECONDS <= now < numbers[1] + CLOCK_TOLERANCE_SECONDS:
        raise refusal(700024, now=shown_time(now), start=shown_time(numbers[0]), end=shown_time(numbers[1]))


def shown_time(seconds: float) -> str:
    """A time as the authority writes it."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
    except (OverflowError, ValueError, OSError):
        return str(seconds)
