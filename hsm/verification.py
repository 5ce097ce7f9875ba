"""Verifies signatures of the device's signing keys. Needs the public half only, and no device."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def is_valid_signature(text: bytes, *, signature: bytes, public_spki: bytes) -> bool:
    """Return whether the signature (DER) over ``text`` was made by the key of ``public_spki`` (DER)."""
    public = serialization.load_der_public_key(public_spki)
    if not isinstance(public, ec.EllipticCurvePublicKey):
        return False
    try:
        public.verify(signature, text, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def public_pem(public_spki: bytes) -> bytes:
    """Return a public key as PEM, which is how OpenSSL reads it."""
    return serialization.load_der_public_key(public_spki).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
