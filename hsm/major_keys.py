"""The major keys in the token: PMK, MFK, sentinel, integrity, checkpoint and report key. Made once, found ever after.

Two objects of one name are an error, never "take the first": wrapping under the wrong PMK would
lose keys.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.utils.translation import gettext as _
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from hsm.types import MajorKey
from kmes.core.errors import DeviceError

PMK, MFK, SENTINEL, CHECKPOINT = "KMES PMK", "KMES MFK", "KMES sentinel", "KMES checkpoint"
REPORT, INTEGRITY = "KMES report", "KMES integrity"
MFK_BITS = 3072
INTEGRITY_BITS = 256


@dataclass
class MajorKeys:
    """Handles of the major keys; valid in one generation of the session only."""

    pmk: Any
    mfk_private: Any
    mfk_public_spki: bytes
    sentinel_private: Any
    sentinel_public_spki: bytes
    sentinel_hash: str


def _find(session: Any, label: str, kind: ObjectClass) -> Any | None:
    found = list(session.get_objects({Attribute.LABEL: label, Attribute.CLASS: kind}))
    if len(found) > 1:
        raise DeviceError(
            _("The token holds %(count)s objects named “%(label)s”.") % {"count": len(found), "label": label},
            _("Remove the wrong one with the device's own tools; the console does not guess."),
            code="major_keys",
        )
    return found[0] if found else None


def _need(session: Any, label: str, kind: ObjectClass) -> Any:
    found = _find(session, label, kind)
    if found is None:
        raise DeviceError(
            _("The token has no major key “%(label)s”.") % {"label": label},
            _("Run manage.py hsm_init, or restore the major keys with the device's own tools."),
            code="major_keys",
        )
    return found


def create_missing(session: Any) -> list[str]:
    """Make the major keys the token lacks. Return their names."""
    made = []
    if _find(session, PMK, ObjectClass.SECRET_KEY) is None:
        session.generate_key(
            KeyType.AES,
            256,
            label=PMK,
            store=True,
            template={
                Attribute.SENSITIVE: True,
                Attribute.EXTRACTABLE: False,
                Attribute.WRAP: True,
                Attribute.UNWRAP: True,
                Attribute.ENCRYPT: True,
                Attribute.DECRYPT: False,
                Attribute.SIGN: False,
                Attribute.VERIFY: False,
            },
        )
        made.append(PMK)
    if _find(session, MFK, ObjectClass.PRIVATE_KEY) is None:
        session.generate_keypair(
            KeyType.RSA,
            MFK_BITS,
            label=MFK,
            store=True,
            private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.SIGN: False},
        )
        made.append(MFK)
    if _find(session, INTEGRITY, ObjectClass.SECRET_KEY) is None:
        session.generate_key(
            KeyType.GENERIC_SECRET,
            INTEGRITY_BITS,
            label=INTEGRITY,
            store=True,
            template={
                Attribute.SENSITIVE: True,
                Attribute.EXTRACTABLE: False,
                Attribute.SIGN: True,
                Attribute.VERIFY: True,
                Attribute.ENCRYPT: False,
                Attribute.DECRYPT: False,
                Attribute.WRAP: False,
                Attribute.UNWRAP: False,
            },
        )
        made.append(INTEGRITY)
    for label in (SENTINEL, CHECKPOINT, REPORT):
        if _find(session, label, ObjectClass.PRIVATE_KEY) is None:
            curve = session.create_domain_parameters(
                KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}, local=True
            )
            curve.generate_keypair(
                label=label,
                store=True,
                private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )
            made.append(label)
    return made


def find_major_keys(session: Any) -> MajorKeys:
    """Find the major keys.

    Raises:
        DeviceError: one is missing or there twice (code ``major_keys``).

    """
    sentinel_public = encode_ec_public_key(_need(session, SENTINEL, ObjectClass.PUBLIC_KEY))
    return MajorKeys(
        pmk=_need(session, PMK, ObjectClass.SECRET_KEY),
        mfk_private=_need(session, MFK, ObjectClass.PRIVATE_KEY),
        mfk_public_spki=spki_of_rsa(_need(session, MFK, ObjectClass.PUBLIC_KEY)),
        sentinel_private=_need(session, SENTINEL, ObjectClass.PRIVATE_KEY),
        sentinel_public_spki=sentinel_public,
        sentinel_hash=hashlib.sha256(sentinel_public).hexdigest(),
    )


def find_report_key(session: Any) -> tuple[Any, bytes]:
    """Return the private report key's handle and its public half as DER SubjectPublicKeyInfo.

    Raises:
        DeviceError: it is missing or there twice (code ``major_keys``).

    """
    return _find_signing_key(session, REPORT)


def find_checkpoint_key(session: Any) -> tuple[Any, bytes]:
    """Return the private checkpoint key's handle and its public half as DER SubjectPublicKeyInfo.

    Raises:
        DeviceError: it is missing or there twice (code ``major_keys``).

    """
    return _find_signing_key(session, CHECKPOINT)


def find_integrity_key(session: Any) -> Any:
    """Return the handle of the key that marks rows.

    Raises:
        DeviceError: it is missing or there twice (code ``major_keys``).

    """
    return _need(session, INTEGRITY, ObjectClass.SECRET_KEY)


def _find_signing_key(session: Any, label: str) -> tuple[Any, bytes]:
    public = encode_ec_public_key(_need(session, label, ObjectClass.PUBLIC_KEY))
    return _need(session, label, ObjectClass.PRIVATE_KEY), public


def spki_of_rsa(public: Any) -> bytes:
    """Return an RSA public key object as DER SubjectPublicKeyInfo (RFC 5280)."""
    numbers = rsa.RSAPublicNumbers(
        e=int.from_bytes(public[Attribute.PUBLIC_EXPONENT]), n=int.from_bytes(public[Attribute.MODULUS])
    )
    return numbers.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def check_values(keys: MajorKeys) -> list[MajorKey]:
    """Return the major keys with their check values.

    PMK: first three bytes of AES-ECB over a zero block (ANSI X9.24-1). MFK: first three bytes of the
    SHA-256 of its public half.
    """
    pmk = bytes(keys.pmk.encrypt(bytes(16), mechanism=Mechanism.AES_ECB))[:3]
    mfk = hashlib.sha256(keys.mfk_public_spki).digest()[:3]
    return [
        MajorKey("PMK", "AES-256", pmk.hex().upper()),
        MajorKey("MFK", f"RSA-{MFK_BITS}", mfk.hex().upper()),
    ]
