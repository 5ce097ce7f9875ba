"""ECDSA P-256 signatures over SHA-256 by keys in the token, as DER, verified before they are given out.

Decides nothing about what may be signed: ``checkpoint_signing`` and ``report_signing`` do, each for its own key.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric import utils
from django.utils.translation import gettext as _
from pkcs11 import Mechanism

from hsm.verification import is_valid_signature
from kmes.core.errors import DeviceError


def sign_and_verify(private: Any, public_spki: bytes, text: bytes) -> bytes:
    """Sign a text and return the signature as DER (RFC 3279).

    Raises:
        DeviceError: the signature does not verify (code ``device_failed``).

    """
    raw = bytes(private.sign(hashlib.sha256(text).digest(), mechanism=Mechanism.ECDSA))
    signature = to_der(raw)
    if not is_valid_signature(text, signature=signature, public_spki=public_spki):
        raise DeviceError(_("The device's key signs wrongly."), code="device_failed")
    return signature


def to_der(raw: bytes) -> bytes:
    """Return PKCS#11's raw ECDSA signature (r and s side by side) as DER."""
    half = len(raw) // 2
    return utils.encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
