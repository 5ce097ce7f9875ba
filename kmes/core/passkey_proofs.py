"""Statements that a passkey signed, checked from what was stored: by the part that acts, and offline by an auditor.

The challenge of the assertion (WebAuthn, level 3) is the SHA-256 of a nonce and the digests of the statements, so the
signature of one list of statements is none of another. Needs the package ``cryptography`` and nothing of the console
but ``canonical_json``. Whose key it is has to be known from elsewhere: ``check`` returns its fingerprint.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kmes.core.canonical_json import encode

CHALLENGE = "kmes passkey challenge"
# WebAuthn, level 3, section 6.1: hash of the domain, flags, counter.
_SHORTEST_DATA, _FLAGS_AT = 37, 32
_PRESENT, _VERIFIED = 0x01, 0x04


class ProofError(ValueError):
    """What is stored proves no such statement; the text says why, in English."""


def challenge_of(nonce: str, statements: Sequence[str]) -> bytes:
    """Return the challenge (32 bytes) that signs these statements. All are hex; the nonce makes it fresh."""
    return hashlib.sha256(encode(CHALLENGE, {"nonce": nonce, "statements": list(statements)})).digest()


def check(proof: Mapping[str, Any], *, statement: str) -> str:
    """Check that a passkey signed a statement, given by its digest (hex). Return the public key's SHA-256 (hex).

    The proof is what ``kmes.accounts.second_factor.passkeys.statements`` stores.

    Raises:
        ProofError: it did not.

    """
    try:
        return _check(proof, statement)
    except ProofError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, UnsupportedAlgorithm, RecursionError) as error:
        message = f"no proof: {type(error).__name__}"
        raise ProofError(message) from None


def _check(proof: Mapping[str, Any], statement: str) -> str:
    statements, domain = proof["statements"], proof["domain"]
    if statement not in statements:
        raise ProofError("another statement was signed")
    client_data, data = base64.b64decode(proof["client_data"]), base64.b64decode(proof["authenticator_data"])
    client = json.loads(client_data)
    if client["type"] != "webauthn.get" or client.get("crossOrigin", False) is not False:
        raise ProofError("not the answer of a passkey on a page of its own")
    expected = base64.urlsafe_b64encode(challenge_of(proof["nonce"], statements)).decode().rstrip("=")
    if client["challenge"] != expected:
        raise ProofError("another challenge was signed")
    host = urlsplit(client["origin"]).hostname or ""
    if host != domain and not host.endswith(f".{domain}"):
        raise ProofError("signed on a page of another site")
    if len(data) < _SHORTEST_DATA or data[:_FLAGS_AT] != hashlib.sha256(domain.encode()).digest():
        raise ProofError("signed for another site")
    if data[_FLAGS_AT] & (_PRESENT | _VERIFIED) != _PRESENT | _VERIFIED:
        raise ProofError("signed without verifying the user")
    public = base64.b64decode(proof["public_key"])
    _verify(public, base64.b64decode(proof["signature"]), data + hashlib.sha256(client_data).digest())
    return hashlib.sha256(public).hexdigest()


def _verify(public: bytes, signature: bytes, signed: bytes) -> None:
    key = load_der_public_key(public)
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(SHA256()))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), SHA256())
        else:
            raise ProofError("a key of another kind")
    except InvalidSignature:
        raise ProofError("the signature does not hold") from None
