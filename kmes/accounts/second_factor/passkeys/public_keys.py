"""Public keys of passkeys: from the form of authenticators (COSE, RFC 9053) to DER SubjectPublicKeyInfo."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fido2.webauthn import AttestedCredentialData

_ES256, _EDDSA, _RS256 = -7, -8, -257


def public_key_of(credential: bytes) -> bytes:
    """Return the public key of a passkey that was accepted here, as DER SubjectPublicKeyInfo.

    Raises:
        ValueError: it is of another algorithm.

    """
    return bytes(
        _key_of(AttestedCredentialData(credential).public_key).public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    )


def _key_of(found: Any) -> Any:
    if found[3] == _ES256:
        x, y = (int.from_bytes(found[each], "big") for each in (-2, -3))
        return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    if found[3] == _EDDSA:
        return Ed25519PublicKey.from_public_bytes(found[-2])
    if found[3] == _RS256:
        n, e = (int.from_bytes(found[each], "big") for each in (-1, -2))
        return RSAPublicNumbers(e, n).public_key()
    message = f"algorithm {found[3]}"
    raise ValueError(message)
