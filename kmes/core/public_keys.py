"""Public keys as DER SubjectPublicKeyInfo."""

from __future__ import annotations

import hashlib


def fingerprint(public_spki: bytes) -> str:
    """Return the SHA-256 of a public key's DER in hex, by which two people compare it."""
    return hashlib.sha256(public_spki).hexdigest()
