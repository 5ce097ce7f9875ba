"""Signs checkpoints of the log with the token's checkpoint key (ECDSA P-256 over SHA-256).

The key signs nothing else: a text that is no checkpoint is refused, so the worker can't be used to
sign anything at all in the device's name.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from pkcs11 import Mechanism

from hsm.major_keys import find_checkpoint_key
from kmes.core.errors import DeviceError

CHECKPOINT_PREFIX = b"kmes-checkpoint/v1\n"


def sign_checkpoint(session: Any, text: bytes) -> bytes:
    """Return the signature as DER (RFC 3279), verified outside before it is given out.

    Raises:
        DeviceError: this is no checkpoint (code ``not_a_checkpoint``), the token has no checkpoint
            key (``major_keys``), or it signs wrongly (``device_failed``).

    """
    if not text.startswith(CHECKPOINT_PREFIX):
        raise DeviceError("The checkpoint key signs checkpoints of the log only.", code="not_a_checkpoint")
    private, public_spki = find_checkpoint_key(session)
    digest = hashlib.sha256(text).digest()
    signature = to_der(bytes(private.sign(digest, mechanism=Mechanism.ECDSA)))
    public = serialization.load_der_public_key(public_spki)
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise DeviceError("The checkpoint key is not an EC key.", "Run manage.py hsm_init.", code="major_keys")
    try:
        public.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except InvalidSignature as error:
        raise DeviceError("The device's checkpoint key signs wrongly.", code="device_failed") from error
    return signature


def to_der(raw: bytes) -> bytes:
    """Return PKCS#11's raw ECDSA signature (r and s side by side) as DER."""
    half = len(raw) // 2
    return utils.encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
