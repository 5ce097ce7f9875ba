"""Signed access tokens: issuing them and judging them.

Owns the RS256 signing key and the JSON Web Token format (RFC 7519). Must not know
who may do what.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
import uuid
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from azure_emulator import storage
from azure_emulator.identity.clients import Client

VAULT_AUDIENCE = "https://vault.azure.net"
ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
ISSUER_PREFIX = "https://sts.windows.net/"


class TokenRefused(Exception):
    """The token is missing its formatter, its signature or its time."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def encode(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The reverse of encode."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def uint(value: int) -> str:
    """A number as JSON Web Keys write it."""
    return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


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

    def issue(self, client: Client, audience: str, lifetime: int) -> str:
        """A signed access token for one audience."""
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": f"{ISSUER_PREFIX}{client.tenant_id}/",
            "iat": now,
            "nbf": now - 300,
            "exp": now + lifetime,
            "appid": client.client_id,
            "appidacr": "1",
            "idp": f"{ISSUER_PREFIX}{client.tenant_id}/",
            "idtyp": "app",
            "oid": client.object_id,
            "sub": client.object_id,
            "tid": client.tenant_id,
            "uti": uuid.uuid4().hex[:22],
            "ver": "1.0",
        }
        signed = f"{self._header}.{encode(json.dumps(claims).encode())}"
        return f"{signed}.{encode(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def verify(self, token: str) -> dict[str, Any]:
        """Signature and time; audience and issuer are the resource's business."""
        try:
            header, body, signature = token.split(".")
            if json.loads(decode(header)).get("alg") != "RS256":
                raise TokenRefused("AKV10046: Unable to resolve the key used for signature validation.")
            self._public.verify(decode(signature), f"{header}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
            claims = json.loads(decode(body))
        except InvalidSignature as error:
            raise TokenRefused("AKV10046: Unable to resolve the key used for signature validation.") from error
        except (ValueError, AttributeError, binascii.Error) as error:
            raise TokenRefused("AKV10000: Request is missing a Bearer or PoP token.") from error
        now = time.time()
        if not claims.get("nbf", 0) <= now < claims.get("exp", 0):
            raise TokenRefused("[TokenExpired] Error validating token: 'S2S12086'.")
        return dict(claims)
