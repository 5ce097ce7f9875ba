"""Statements signed in the device with the checkpoint key (EC P-256), for whoever has its public half.

Every statement must say in its own text what it is, because one key signs several kinds.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric import utils
from pkcs11 import Mechanism

from hsm.keys import canonical_spki
from hsm.major_keys import find_checkpoint_key
from hsm.types import StatementSignature
from hsm.verification import is_genuine
from kmes.core.errors import DeviceError


def sign(session: Any, statement: bytes) -> StatementSignature:
    """Sign a statement; what the device gives is verified before it is trusted.

    Raises:
        DeviceError: the key is missing, or its signature does not verify.

    """
    private, found = find_checkpoint_key(session)
    raw = bytes(private.sign(hashlib.sha256(statement).digest(), mechanism=Mechanism.ECDSA))
    half = len(raw) // 2
    signature = utils.encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
    public_spki = canonical_spki(found)
    if not is_genuine(statement, signature=signature, public_spki=public_spki):
        raise DeviceError("The device's checkpoint key signs wrongly.", code="device_failed")
    return StatementSignature(signature, public_spki)
