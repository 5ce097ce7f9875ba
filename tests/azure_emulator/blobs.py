"""A BYOK wrapper of the tests' own: written from the specification, apart from all other code."""

from __future__ import annotations

import base64
import functools
import json
import os
from dataclasses import dataclass, field
from typing import Any

from azure.keyvault.keys import KeyVaultKey
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

DER, PKCS8 = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()
CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "P-256K": ec.SECP256K1(),
}


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@functools.cache
def rsa_key(size: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, size)


@functools.cache
def ec_key(curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(CURVES[curve])


def pkcs8(key: Any, form: serialization.PrivateFormat = PKCS8) -> bytes:
    return key.private_bytes(DER, form, PLAIN)


def rsa_public(kek: KeyVaultKey) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(int.from_bytes(kek.key.e, "big"), int.from_bytes(kek.key.n, "big")).public_key()


@dataclass
class Blob:
    """Every part can be set, so that a test can spoil exactly one."""

    kid: str
    kek: rsa.RSAPublicKey
    plain: bytes
    aes_bytes: int = 32
    oaep: hashes.HashAlgorithm = field(default_factory=hashes.SHA1)
    label: bytes | None = None
    schema_version: Any = "1.0.0"
    alg: Any = "dir"
    enc: Any = "CKM_RSA_AES_KEY_WRAP"

    def ciphertext(self) -> bytes:
        aes = os.urandom(self.aes_bytes)
        scheme = padding.OAEP(mgf=padding.MGF1(self.oaep), algorithm=self.oaep, label=self.label)
        return self.kek.encrypt(aes, scheme) + aes_key_wrap_with_padding(aes, self.plain)

    def document(self) -> dict[str, Any]:
        return {
            "schema_version": self.schema_version,
            "header": {"kid": self.kid, "alg": self.alg, "enc": self.enc},
            "ciphertext": b64url(self.ciphertext()),
            "generator": "tests",
        }

    def encoded(self) -> bytes:
        return json.dumps(self.document()).encode()


def blob_for(kek: KeyVaultKey, key: Any, **changes: Any) -> Blob:
    return Blob(**{"kid": kek.id, "kek": rsa_public(kek), "plain": pkcs8(key), **changes})
