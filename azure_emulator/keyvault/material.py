"""Key material: making, checking, storing and showing RSA and EC keys.

Owns the mapping between JSON Web Key members (RFC 7517, RFC 7518) and key objects.
Must not know vaults or requests.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

RSA_SIZES = (2048, 3072, 4096)
DEFAULT_EXPONENT = 65537
CURVES: dict[str, type[ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
    "P-256K": ec.SECP256K1,
}
CURVE_NAMES: dict[str, str] = {curve().name: name for name, curve in CURVES.items()}
BASE64URL = re.compile(r"^[A-Za-z0-9_-]*={0,2}$")


class BadMaterial(Exception):
    """The key is inconsistent or of a kind vaults don't take; the text says which."""


def b64url(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64url(text: Any) -> bytes:
    """Base64url with or without padding (RFC 4648 section 5); raises ValueError otherwise."""
    if not isinstance(text, str) or not BASE64URL.match(text):
        raise ValueError("not base64url")
    stripped = text.rstrip("=")
    if text != stripped and len(text) % 4:
        raise ValueError("wrong base64url padding")
    try:
        return base64.urlsafe_b64decode(stripped + "=" * (-len(stripped) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def uint_text(value: int, length: int | None = None) -> str:
    """A number as JSON Web Keys write it, in full length where one is given."""
    return b64url(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def curve_name(private: ec.EllipticCurvePrivateKey) -> str | None:
    """The JSON Web Key name of the key's curve; None for a curve vaults don't take."""
    return CURVE_NAMES.get(private.curve.name)


def public_members(private: PrivateKey) -> dict[str, str]:
    """The public half as JSON Web Key members."""
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.public_key().public_numbers()
        return {"n": uint_text(numbers.n), "e": uint_text(numbers.e)}
    point = private.public_key().public_numbers()
    length = (private.key_size + 7) // 8
    return {"crv": curve_name(private) or "", "x": uint_text(point.x, length), "y": uint_text(point.y, length)}


def to_pem(private: PrivateKey) -> str:
    """The stored form of a private key."""
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def from_pem(pem: str) -> PrivateKey:
    """Read a private key from its stored form."""
    # Our own file, checked when the key came in: the costly primality tests are left out.
    loaded = serialization.load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(loaded, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise BadMaterial("The stored key is of an unknown type.")
    return loaded


def check_rsa(private: rsa.RSAPrivateKey) -> None:
    """The numbers must belong together and work; much cheaper than testing both primes."""
    numbers = private.private_numbers()
    p, q, d = numbers.p, numbers.q, numbers.d
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    consistent = (
        p > 1
        and q > 1
        and p != q
        and p * q == n
        and e % 2 == 1
        and (e * d) % (p - 1) == 1
        and (e * d) % (q - 1) == 1
        and numbers.dmp1 == d % (p - 1)
        and numbers.dmq1 == d % (q - 1)
        and (numbers.iqmp * q) % p == 1
    )
    if not consistent:
        raise BadMaterial("The RSA private key's numbers do not belong together.")
    probe = hashes.SHA256()
    try:
        # A factor that is no prime passes the arithmetic above, but signs wrongly.
        signature = private.sign(bytes(probe.digest_size), padding.PKCS1v15(), Prehashed(probe))
        private.public_key().verify(signature, bytes(probe.digest_size), padding.PKCS1v15(), Prehashed(probe))
    except (ValueError, InvalidSignature) as error:
        raise BadMaterial("The RSA private key's numbers do not belong together.") from error


def check_private(private: Any) -> PrivateKey:
    """Only RSA 2048/3072/4096 and the four curves of the service, each consistent in itself."""
    if isinstance(private, rsa.RSAPrivateKey):
        if private.key_size not in RSA_SIZES:
            raise BadMaterial(f"RSA keys of {private.key_size} bits are not supported; use 2048, 3072 or 4096.")
        check_rsa(private)
        return private
    if isinstance(private, ec.EllipticCurvePrivateKey):
        if curve_name(private) is None:
            raise BadMaterial(f"The curve {private.curve.name} is not supported.")
        secret = private.private_numbers().private_value
        if ec.derive_private_key(secret, private.curve).public_key() != private.public_key():
            raise BadMaterial("The EC public point does not belong to the private value.")
        return private
    raise BadMaterial("The key type is not supported.")


def rsa_from_jwk(jwk: Mapping[str, Any]) -> rsa.RSAPrivateKey:
    """A private RSA key from all its members; ValueError when one is missing."""
    values = {
        name: int.from_bytes(unb64url(jwk.get(name)), "big") for name in ("n", "e", "d", "p", "q", "dp", "dq", "qi")
    }
    public = rsa.RSAPublicNumbers(values["e"], values["n"])
    numbers = rsa.RSAPrivateNumbers(
        p=values["p"], q=values["q"], d=values["d"], dmp1=values["dp"], dmq1=values["dq"], iqmp=values["qi"],
        public_numbers=public,
    )  # fmt: skip
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def ec_from_jwk(jwk: Mapping[str, Any]) -> ec.EllipticCurvePrivateKey:
    """A private EC key from all its members; ValueError when one is missing."""
    curve = CURVES.get(str(jwk.get("crv")))
    if curve is None:
        raise ValueError("unknown curve")
    x, y, d = (int.from_bytes(unb64url(jwk.get(name)), "big") for name in ("x", "y", "d"))
    return ec.EllipticCurvePrivateNumbers(d, ec.EllipticCurvePublicNumbers(x, y, curve())).private_key()
