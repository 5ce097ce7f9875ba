"""Public keys as PEM and as JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8812)."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

# The name of secp256k1 in RFC 8812; Azure calls it P-256K.
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521", "secp256k1": "secp256k1"}


def to_pem(spki: bytes) -> str:
    """Return DER SubjectPublicKeyInfo as PEM."""
    return load_der_public_key(spki).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def to_jwk(spki: bytes, *, thumbprint: str) -> dict[str, str]:
    """Return DER SubjectPublicKeyInfo as a JWK whose ``kid`` is the console's thumbprint.

    Raises:
        TypeError: the key is neither RSA nor EC.

    """
    key = load_der_public_key(spki)
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "kid": thumbprint, "n": _number(numbers.n), "e": _number(numbers.e)}
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_numbers()
        # Coordinates have the full length of the field, leading zeros included (RFC 7518, 6.2.1.2).
        size = (key.curve.key_size + 7) // 8
        return {
            "kty": "EC",
            "kid": thumbprint,
            "crv": _CURVES[key.curve.name],
            "x": _number(point.x, size),
            "y": _number(point.y, size),
        }
    raise TypeError(type(key).__name__)


def check_value(thumbprint: str) -> str:
    """Return the key check value, which people compare by eye: the thumbprint's first three bytes.

    The thumbprint is the SHA-256 of the DER SubjectPublicKeyInfo. Anyone with the public key can
    compute it: ``openssl pkey -pubin -outform DER | sha256sum``.
    """
    return thumbprint[:6].upper()


def _number(value: int, size: int = 0) -> str:
    """Return a number big-endian in base64url without padding."""
    data = value.to_bytes(size or (value.bit_length() + 7) // 8, "big")
    return urlsafe_b64encode(data).rstrip(b"=").decode()
