"""Signatures of the token's signing keys (ECDSA P-256 over SHA-256), and what the checkpoint key may sign.

A signing key signs one kind of text, so that the worker can't be used to sign anything at all in the
device's name: checkpoints of the log here, reports in ``statements``.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric import utils
from django.utils.translation import gettext as _
from pkcs11 import Mechanism

from hsm.keys import canonical_spki
from hsm.major_keys import find_checkpoint_key
from hsm.verification import is_genuine
from kmes.core.errors import DeviceError

CHECKPOINT_PREFIX = b"kmes-checkpoint/v1\n"


def sign_checkpoint(session: Any, text: bytes) -> bytes:
    """Return the signature as DER (RFC 3279).

    Raises:
        DeviceError: this is no checkpoint (code ``not_a_checkpoint``), the token has no checkpoint
            key (``major_keys``), or it signs wrongly (``device_failed``).

    """
    if not text.startswith(CHECKPOINT_PREFIX):
        raise DeviceError(_("The checkpoint key signs checkpoints of the log only."), code="not_a_checkpoint")
    private, found = find_checkpoint_key(session)
    return sign_and_verify(private, canonical_spki(found), text)


def checkpoint_public_spki(session: Any) -> bytes:
    """Return the checkpoint key's public half as DER SubjectPublicKeyInfo."""
    return canonical_spki(find_checkpoint_key(session)[1])


def sign_and_verify(private: Any, public_spki: bytes, text: bytes) -> bytes:
    """Sign a text and return the signature as DER, verified outside before it is given out.

    Raises:
        DeviceError: the key signs wrongly (code ``device_failed``).

    """
    raw = bytes(private.sign(hashlib.sha256(text).digest(), mechanism=Mechanism.ECDSA))
    signature = to_der(raw)
    if not is_genuine(text, signature=signature, public_spki=public_spki):
        raise DeviceError(_("The device's key signs wrongly."), code="device_failed")
    return signature


def to_der(raw: bytes) -> bytes:
    """Return PKCS#11's raw ECDSA signature (r and s side by side) as DER."""
    half = len(raw) // 2
    return utils.encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
