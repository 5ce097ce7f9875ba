"""Reports signed in the device with its report key (ECDSA P-256 over SHA-256), for whoever has the public half.

A report is JSON that says in its own text what it is; the key signs nothing else.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import utils
from pkcs11 import Mechanism

from hsm.keys import canonical_spki
from hsm.major_keys import find_report_key
from hsm.types import StatementSignature
from hsm.verification import is_genuine
from kmes.core.errors import DeviceError


def sign(session: Any, statement: bytes) -> StatementSignature:
    """Sign a report; what the device gives is verified before it is trusted.

    Raises:
        DeviceError: this is no report (code ``not_a_report``), the key is missing (``major_keys``), or it
            signs wrongly (``device_failed``).

    """
    if not _is_report(statement):
        raise DeviceError("The report key signs reports of this console only.", code="not_a_report")
    private, found = find_report_key(session)
    raw = bytes(private.sign(hashlib.sha256(statement).digest(), mechanism=Mechanism.ECDSA))
    half = len(raw) // 2
    signature = utils.encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
    public_spki = canonical_spki(found)
    if not is_genuine(statement, signature=signature, public_spki=public_spki):
        raise DeviceError("The device's report key signs wrongly.", code="device_failed")
    return StatementSignature(signature, public_spki)


def _is_report(statement: bytes) -> bool:
    try:
        content = json.loads(statement)
    except ValueError:
        return False
    return isinstance(content, dict) and str(content.get("type", "")).startswith("kmes-")
