"""Signed access tokens: issuing them and checking them.

Owns the RS256 signing key and the claims of an access token. Must not know who may do
what.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from azure_emulator import storage
from azure_emulator.identity.clients import Client
from azure_emulator.identity.jwt import BadToken, encode, read_token, uint

ISSUER_PREFIX = "https://sts.windows.net/"
MISSING_TOKEN = "AKV10000: Request is missing a Bearer, PoP, or MTLS_POP token."
UNREADABLE_TOKEN = "[BearerReadAccessTokenFailed] Error validating token: 'S2S12005'."


class TokenRefused(Exception):
    """The token is malformed, not signed by this authority or, at ``expired_at`` in Unix time, expired."""

    def __init__(self, reason: str, expired_at: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.expired_at = reason, expired_at


class TokenSigner:
    """One RSA key, kept below the state directory so that tokens outlive a restart."""

    def __init__(self, directory: Path) -> None:
        path = directory / "token-key.pem"
        if path.exists():
            try:
                key = serialization.load_pem_private_key(path.read_bytes(), None)
            except ValueError as error:
                raise storage.BrokenState(f"The token key {path} is damaged; remove it.") from error
        else:
            key = rsa.generate_private_key(65537, 2048)
            private = serialization.PrivateFormat.PKCS8
            storage.write_bytes(
                path, key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
            )
        if not isinstance(key, rsa.RSAPrivateKey):
            raise storage.BrokenState(f"The token key {path} is not an RSA key; remove it.")
        self._key = key
        self._public = key.public_key()
        numbers = self._public.public_numbers()
        self.key_id = encode(hashlib.sha256(str(numbers.n).encode()).digest()[:15])
        self._header = encode(json.dumps({"typ": "JWT", "alg": "RS256", "kid": self.key_id}).encode())

    def jwks(self, issuer: str) -> dict[str, Any]:
        """The public key for others to verify tokens with."""
        numbers = self._public.public_numbers()
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.key_id, "x5t": self.key_id}
        return {"keys": [{**key, "n": uint(numbers.n), "e": uint(numbers.e), "issuer": issuer}]}

    def sign(self, claims: dict[str, Any]) -> str:
        """A token with these claims."""
        signed = f"{self._header}.{encode(json.dumps(claims).encode())}"
        return f"{signed}.{encode(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def issue(self, client: Client, audience: str, lifetime: int, *, by_certificate: bool = False) -> str:
        """A signed access token for one audience."""
        now = int(time.time())
        return self.sign(
            {
                "aud": audience,
                "iss": f"{ISSUER_PREFIX}{client.tenant_id}/",
                "iat": now,
                "nbf": now - 300,
                "exp": now + lifetime,
                "appid": client.client_id,
                "appidacr": "2" if by_certificate else "1",
                "idp": f"{ISSUER_PREFIX}{client.tenant_id}/",
                "idtyp": "app",
                "oid": client.object_id,
                "sub": client.object_id,
                "tid": client.tenant_id,
                "uti": uuid.uuid4().hex[:22],
                "ver": "1.0",
            }
        )

    def verify(self, token: str) -> dict[str, Any]:
        """Check signature and time; the resource checks audience and issuer."""
        try:
            read = read_token(token)
        except BadToken as error:
            raise TokenRefused(UNREADABLE_TOKEN) from error
        if read.algorithm != "RS256" or not read.has_signature_of(self._public):
            raise TokenRefused(
                "AKV10046: Unable to resolve the key used for signature validation. "
                f"EncodedJwtHeader: '{token.split('.', maxsplit=1)[0]}'."
            )
        if not read.claims.get("nbf", 0) <= time.time() < read.claims.get("exp", 0):
            raise TokenRefused("[TokenExpired] Error validating token: 'S2S12086'.", read.claims.get("exp", 0))
        return dict(read.claims)
