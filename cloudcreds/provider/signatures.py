"""The form of signatures made in a vault, and their verification with the public half kept here.

The algorithm follows from the key: RS256 for RSA, and for EC the hash of the curve's size (RFC 7518, 3.1;
RFC 8812, 3.2 for secp256k1). An EC signature is r and s side by side (RFC 7518, 3.4).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from hsm.types import KeySpec

_EC_ALGORITHMS: dict[KeySpec, str] = {
    KeySpec.P_256: "ES256",
    KeySpec.P_384: "ES384",
    KeySpec.P_521: "ES512",
    KeySpec.P_256K: "ES256K",
}


def algorithm_of(spec: KeySpec) -> str:
    """Return the name of the algorithm a key of this type signs with."""
    return _EC_ALGORITHMS.get(spec, "RS256")


def digest_of(spec: KeySpec, message: bytes) -> bytes:
    """Return the digest of a message that a key of this type signs."""
    digest = hashes.Hash(_hash(spec))
    digest.update(message)
    return digest.finalize()


def _hash(spec: KeySpec) -> hashes.HashAlgorithm:
    by_size = {"384": hashes.SHA384(), "512": hashes.SHA512()}
    return by_size.get(algorithm_of(spec)[2:5], hashes.SHA256())


def is_signature_of_key(signature: bytes, *, spec: KeySpec, public_spki: bytes, message: bytes) -> bool:
    """Return whether the private half of ``public_spki`` made the signature over the message."""
    public = serialization.load_der_public_key(public_spki)
    try:
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, message, padding.PKCS1v15(), _hash(spec))
            return True
        if isinstance(public, ec.EllipticCurvePublicKey):
            half = len(signature) // 2
            der = utils.encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
            public.verify(der, message, ec.ECDSA(_hash(spec)))
            return True
    except InvalidSignature:
        return False
    return False
