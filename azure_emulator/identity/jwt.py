"""Reading and verifying JSON Web Tokens (RFC 7515, RFC 7519).

Owns the compact form and the signatures RS256 and PS256. Must not know what claims mean.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from azure_emulator import json_input

ALGORITHMS = ("RS256", "PS256")


class BadToken(Exception):
    """Not a token in compact form; the text says why."""


@dataclass(frozen=True)
class Token:
    """A token whose signature has not been checked."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    @property
    def algorithm(self) -> str:
        """The signature algorithm that the header names."""
        return str(self.header.get("alg"))

    def has_signature_of(self, key: rsa.RSAPublicKey) -> bool:
        """Whether the key's owner signed it, in the way the header says."""
        scheme: padding.AsymmetricPadding
        if self.algorithm == "RS256":
            scheme = padding.PKCS1v15()
        elif self.algorithm == "PS256":
            # RFC 7518 section 3.5: the salt is as long as the hash.
            scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)
        else:
            return False
        try:
            key.verify(self.signature, self.signed, scheme, hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def encode(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The reverse of encode."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def uint(value: int) -> str:
    """A number as JSON Web Keys write it."""
    return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def read_token(text: str) -> Token:
    """Split a token into its parts."""
    try:
        header, body, signature = text.split(".")
        parsed_header, claims = json_input.parse(decode(header)), json_input.parse(decode(body))
        raw_signature = decode(signature)
    except (ValueError, binascii.Error) as error:
        raise BadToken("It is not three parts of base64url.") from error
    if not isinstance(parsed_header, dict) or not isinstance(claims, dict):
        raise BadToken("Header and claims must be JSON objects.")
    return Token(parsed_header, claims, f"{header}.{body}".encode(), raw_signature)


def rsa_key_of(jwk: Mapping[str, Any]) -> rsa.RSAPublicKey:
    """The RSA key of a JSON Web Key; ValueError when it is none."""
    if jwk.get("kty") != "RSA" or not isinstance(jwk.get("n"), str) or not isinstance(jwk.get("e"), str):
        raise ValueError("not an RSA key")
    e, n = (int.from_bytes(decode(jwk[name]), "big") for name in ("e", "n"))
    return rsa.RSAPublicNumbers(e, n).public_key()
