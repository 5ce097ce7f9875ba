"""Operations with a private key: encrypt, decrypt, sign, verify, wrap, unwrap.

Owns algorithms and the rules of use (enabled, validity, key_ops). Must not return
private parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from azure_emulator.keyvault import errors
from azure_emulator.keyvault.call import Call
from azure_emulator.keyvault.errors import ServiceError
from azure_emulator.keyvault.material import b64url, unb64url
from azure_emulator.keyvault.model import KeyVersion

# The names in the path, and the names in key_ops.
OPERATIONS = {
    "encrypt": "encrypt",
    "decrypt": "decrypt",
    "sign": "sign",
    "verify": "verify",
    "wrapkey": "wrapKey",
    "unwrapkey": "unwrapKey",
}
# Outside nbf and exp these stay allowed, so that old data can be read.
ALLOWED_OUTSIDE_VALIDITY = {"decrypt", "unwrapkey", "verify", "release"}

HASHES: dict[str, type[hashes.HashAlgorithm]] = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
EC_ALGORITHMS = {
    "ES256": ("P-256", "256"),
    "ES384": ("P-384", "384"),
    "ES512": ("P-521", "512"),
    "ES256K": ("P-256K", "256"),
}
RSA_SIGNATURES = {f"{family}{size}" for family in ("RS", "PS") for size in HASHES}
RSA_ENCRYPTION = ("RSA1_5", "RSA-OAEP", "RSA-OAEP-256")


@dataclass(frozen=True)
class Work:
    """One validated request."""

    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    algorithm: str
    value: bytes
    body: dict[str, Any]


def check_use(version: KeyVersion, operation: str, now: float) -> None:
    """Refuse a version that is disabled, out of time by the vault's clock or not made for this."""
    word = OPERATIONS.get(operation, operation)
    if not version.enabled:
        raise errors.forbidden(f"Operation {word} is not allowed on a disabled key.", "KeyDisabled")
    if operation not in ALLOWED_OUTSIDE_VALIDITY:
        if version.nbf is not None and now < version.nbf:
            raise errors.forbidden(f"Operation {word} is not allowed on a key that is not yet valid.", "KeyNotYetValid")
        if version.exp is not None and now >= version.exp:
            raise errors.forbidden(f"Operation {word} is not allowed on an expired key.", "KeyExpired")
    if word not in version.key_ops:
        raise errors.forbidden(f"Operation {word} is not permitted on this key.", "KeyOperationForbidden")


def unsupported(algorithm: Any, version: KeyVersion) -> ServiceError:
    """The refusal of an algorithm that doesn't fit the key."""
    return errors.bad_parameter(f"Algorithm {algorithm} is not supported by key type {version.kty}.")


def read_binary(body: dict[str, Any], name: str) -> bytes:
    """A base64url member that must not be empty."""
    try:
        value = unb64url(body.get(name))
    except ValueError as error:
        raise errors.bad_parameter(f"The property '{name}' must be base64url.") from error
    if not value:
        raise errors.bad_parameter(f"The property '{name}' must not be empty.")
    return value


def oaep_or_v15(algorithm: str) -> padding.AsymmetricPadding:
    """The padding an encryption algorithm stands for."""
    if algorithm == "RSA1_5":
        return padding.PKCS1v15()
    kind = hashes.SHA1() if algorithm == "RSA-OAEP" else hashes.SHA256()
    return padding.OAEP(mgf=padding.MGF1(kind), algorithm=kind, label=None)


def encipher(work: Work) -> dict[str, Any]:
    """Encrypt or wrap with the public half."""
    assert isinstance(work.private, rsa.RSAPrivateKey)
    try:
        return {"value": b64url(work.private.public_key().encrypt(work.value, oaep_or_v15(work.algorithm)))}
    except ValueError as error:
        raise errors.bad_parameter("The value is too long for this key and algorithm.") from error


def decipher(work: Work) -> dict[str, Any]:
    """Decrypt or unwrap with the private half."""
    assert isinstance(work.private, rsa.RSAPrivateKey)
    try:
        return {"value": b64url(work.private.decrypt(work.value, oaep_or_v15(work.algorithm)))}
    except ValueError as error:
        raise errors.bad_parameter("The value could not be decrypted with this key and algorithm.") from error


def digest_of(work: Work, name: str) -> tuple[bytes, hashes.HashAlgorithm]:
    """The digest in the request and its hash; lengths must agree."""
    size = EC_ALGORITHMS[work.algorithm][1] if work.algorithm in EC_ALGORITHMS else work.algorithm[2:]
    kind = HASHES[size]()
    digest = read_binary(work.body, name)
    if len(digest) != kind.digest_size:
        raise errors.bad_parameter(
            f"Invalid length of '{name}': {len(digest)} bytes. {work.algorithm} requires {kind.digest_size} bytes, encoded "
            "with base64url."
        )
    return digest, kind


def rsa_scheme(algorithm: str, kind: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    """PKCS#1 v1.5 for RS*, PSS for PS*."""
    if algorithm.startswith("RS"):
        return padding.PKCS1v15()
    return padding.PSS(mgf=padding.MGF1(kind), salt_length=kind.digest_size)


def sign(work: Work) -> dict[str, Any]:
    """Sign a digest."""
    digest, kind = digest_of(work, "value")
    if isinstance(work.private, rsa.RSAPrivateKey):
        return {"value": b64url(work.private.sign(digest, rsa_scheme(work.algorithm, kind), Prehashed(kind)))}
    # JSON Web Algorithms use r and s in full length (RFC 7518 section 3.4), not DER.
    r, s = decode_dss_signature(work.private.sign(digest, ec.ECDSA(Prehashed(kind))))
    half = (work.private.key_size + 7) // 8
    return {"value": b64url(r.to_bytes(half, "big") + s.to_bytes(half, "big"))}


def verify(work: Work) -> dict[str, Any]:
    """Verify a signature over a digest; a wrong one is an answer, not an error."""
    digest, kind = digest_of(work, "digest")
    try:
        if isinstance(work.private, rsa.RSAPrivateKey):
            scheme = rsa_scheme(work.algorithm, kind)
            work.private.public_key().verify(work.value, digest, scheme, Prehashed(kind))
            return {"value": True}
        half = (work.private.key_size + 7) // 8
        if len(work.value) != 2 * half:
            return {"value": False}
        r, s = (int.from_bytes(part, "big") for part in (work.value[:half], work.value[half:]))
        work.private.public_key().verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(kind)))
    except InvalidSignature:
        return {"value": False}
    return {"value": True}


ACTIONS = {
    "encrypt": encipher,
    "wrapkey": encipher,
    "decrypt": decipher,
    "unwrapkey": decipher,
    "sign": sign,
    "verify": verify,
}


def check_algorithm(algorithm: str, version: KeyVersion, kid: str, operation: str) -> None:
    """The algorithm must exist and fit the key and the operation."""
    if operation in ("sign", "verify"):
        curve = EC_ALGORITHMS.get(algorithm, ("", ""))[0]
        if curve and version.curve and curve != version.curve:
            raise errors.bad_parameter(
                f"Key and signing algorithm are incompatible. Key {kid} uses curve '{version.curve}', and algorithm "
                f"'{algorithm}' can only be used with curve '{curve}'."
            )
        fits = algorithm in RSA_SIGNATURES if version.kty.startswith("RSA") else curve == version.curve
    else:
        fits = version.kty.startswith("RSA") and algorithm in RSA_ENCRYPTION
    if not fits:
        raise unsupported(algorithm, version)


async def perform(call: Call) -> dict[str, Any]:
    """Any of the six operations with a key."""
    body = call.body()
    if not isinstance(body.get("alg"), str):
        raise errors.bad_parameter("The property 'alg' must be a text.")
    value = read_binary(body, "value")
    record, version = call.vault.live_version(call.name, call.version)
    check_use(version, call.operation, call.vault.now())
    if not version.pem:
        raise unsupported(body["alg"], version)
    kid = call.formatter.key_id(record, version)
    check_algorithm(body["alg"], version, kid, call.operation)
    return {"kid": kid} | ACTIONS[call.operation](Work(version.private, body["alg"], value, body))


async def release(call: Call) -> dict[str, Any]:
    """Secure key release needs an attestation no stand-in can check, so it is always refused."""
    version = call.vault.live_version(call.name, call.version)[1]
    if not version.exportable:
        raise errors.forbidden("Operation release is not permitted on this key.", "KeyOperationForbidden")
    raise errors.bad_parameter("The target environment assertion is not valid.")


async def secure_wrap(call: Call) -> dict[str, Any]:
    """Refused: only a managed HSM wraps keys for an attested environment."""
    call.vault.live_version(call.name, call.version)
    raise errors.bad_parameter("Secure key wrapping is only available in a managed HSM.")


async def random_bytes(call: Call) -> dict[str, Any]:
    """Refused: only a managed HSM hands out random bytes."""
    raise errors.bad_parameter("Random bytes are only available from a managed HSM.")
