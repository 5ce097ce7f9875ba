"""The check of a key transfer blob and the private key in it.

Owns all checks of ``key_hsm``: JSON form, header, RSA-OAEP with SHA-1 and MGF1-SHA-1, AES
key wrap with padding (RFC 5649) and PKCS#8 (RFC 5208). Source: docs/azure.md, "BYOK". It
shares no code with any client, on purpose. Each refusal is 400 BadParameter with its own
text, so that a test can tell them apart. Must not store anything.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding

from azure_emulator import json_input
from azure_emulator.keyvault import der, errors
from azure_emulator.keyvault.attributes import IMPORT
from azure_emulator.keyvault.errors import ServiceError
from azure_emulator.keyvault.material import BadMaterial, PrivateKey, check_private, unb64url
from azure_emulator.keyvault.model import KeyVersion

SCHEMA_VERSION = "1.0.0"
ALGORITHM = "dir"
WRAPPING = "CKM_RSA_AES_KEY_WRAP"
AES_KEY_BYTES = 32
STANDARD_BASE64 = re.compile(r"^[A-Za-z0-9+/]+={0,2}$")

FindKek = Callable[[str], KeyVersion]


@dataclass(frozen=True)
class TransferBlob:
    """What a well-formed blob says, before any cryptography."""

    kid: str
    ciphertext: bytes


def refuse(reason: str) -> ServiceError:
    """The one form of all refusals here."""
    return errors.bad_parameter(f"The key transfer blob is not valid: {reason}.")


def decode_member(text: Any) -> bytes:
    """``key_hsm``: base64url as the SDKs send it, or plain Base64 as the specification words it."""
    try:
        return unb64url(text)
    except ValueError:
        pass
    if isinstance(text, str) and STANDARD_BASE64.match(text):
        try:
            return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
        except binascii.Error:
            pass
    raise refuse("key_hsm is not base64url")


def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object; two members of one name could be read in two ways."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a member appears twice")
    return dict(pairs)


def parse_blob(text: Any) -> TransferBlob:
    """Check the blob's JSON form and its constants."""
    raw = decode_member(text)
    try:
        blob = json_input.parse(raw.decode("utf-8"), object_pairs_hook=no_duplicates)
    except ValueError as error:
        raise refuse("it is not a JSON document") from error
    if not isinstance(blob, dict):
        raise refuse("it is not a JSON object")
    if blob.get("schema_version") != SCHEMA_VERSION:
        raise refuse(f"schema_version must be {SCHEMA_VERSION}")
    header = blob.get("header")
    if not isinstance(header, dict):
        raise refuse("header is missing")
    if header.get("alg") != ALGORITHM:
        raise refuse(f"header.alg must be {ALGORITHM}")
    if header.get("enc") != WRAPPING:
        raise refuse(f"header.enc must be {WRAPPING}")
    if not isinstance(header.get("kid"), str) or not header["kid"]:
        raise refuse("header.kid is missing")
    if not isinstance(blob.get("generator", ""), str):
        raise refuse("generator is not a text")
    try:
        ciphertext = unb64url(blob.get("ciphertext"))
    except ValueError as error:
        raise refuse("ciphertext is not base64url") from error
    return TransferBlob(header["kid"], ciphertext)


def check_kek(kek: KeyVersion, now: float) -> rsa.RSAPrivateKey:
    """The key exchange key: an RSA key of the vault's HSM for import and nothing else, usable now."""
    if kek.kty != "RSA-HSM":
        raise refuse(f"the key exchange key is of type {kek.kty}, not RSA-HSM")
    if kek.key_ops != [IMPORT]:
        raise refuse("the key exchange key's key_ops are not exactly 'import'")
    if kek.origin != "generated":
        raise refuse("the key exchange key was not generated in this vault")
    if not kek.enabled:
        raise refuse("the key exchange key is disabled")
    if kek.nbf is not None and now < kek.nbf:
        raise refuse("the key exchange key is not yet valid")
    if kek.exp is not None and now >= kek.exp:
        raise refuse("the key exchange key has expired")
    private = kek.private
    assert isinstance(private, rsa.RSAPrivateKey)
    return private


def unwrap(kek: rsa.RSAPrivateKey, ciphertext: bytes) -> bytes:
    """CKM_RSA_AES_KEY_WRAP: the wrapped AES key, as long as the modulus, then the wrapped target."""
    modulus_bytes = (kek.key_size + 7) // 8
    if len(ciphertext) <= modulus_bytes:
        raise refuse(f"the ciphertext is not longer than the key exchange key's modulus ({modulus_bytes} bytes)")
    # PKCS#11 parameters fixed by the specification: CKM_SHA_1, CKG_MGF1_SHA1, empty label.
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
    try:
        aes_key = kek.decrypt(ciphertext[:modulus_bytes], oaep)
    except ValueError as error:
        raise refuse(
            "the AES key can't be unwrapped with RSA-OAEP (SHA-1, MGF1-SHA-1) and this key exchange key"
        ) from error
    if len(aes_key) != AES_KEY_BYTES:
        raise refuse(f"the wrapped AES key has {len(aes_key) * 8} bits, not {AES_KEY_BYTES * 8}")
    try:
        # RFC 5649 section 3: integrity value A65959A6, length indicator and zero padding are all checked.
        return aes_key_unwrap_with_padding(aes_key, ciphertext[modulus_bytes:])
    except (InvalidUnwrap, ValueError) as error:
        raise refuse("the target key fails the integrity check of AES key wrap with padding (RFC 5649)") from error


def load_target(plain: bytes) -> PrivateKey:
    """Read the unwrapped private key, taking nothing but PKCS#8."""
    try:
        kind = der.check_private_key_info(plain)
    except der.TrailingBytes as error:
        raise refuse(f"{error}; the wrapped key must be exactly one DER structure") from error
    except der.DerError as error:
        raise refuse(f"the wrapped key is not PKCS#8 DER: {error}") from error
    try:
        loaded = serialization.load_der_private_key(plain, None, unsafe_skip_rsa_key_validation=True)
    except Exception as error:
        # The parser raises several types for damaged or unknown keys; all mean the same here.
        raise refuse(f"the {kind} private key inside the PKCS#8 structure can't be read") from error
    try:
        return check_private(loaded)
    except BadMaterial as error:
        raise refuse(str(error).rstrip(".")) from error


def open_blob(text: Any, find_kek: FindKek, now: float) -> PrivateKey:
    """Check a whole ``key_hsm`` value and return the private key in it."""
    blob = parse_blob(text)
    kek = check_kek(find_kek(blob.kid), now)
    return load_target(unwrap(kek, blob.ciphertext))
