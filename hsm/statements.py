"""Reports signed in the device with its report key (ECDSA P-256 over SHA-256), for whoever has the public half.

A report is JSON that says in its own text what it is; the key signs nothing else.
"""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext as _

from hsm.keys import canonical_spki
from hsm.major_keys import find_report_key
from hsm.signing import sign_and_verify
from hsm.types import StatementSignature
from kmes.core.errors import DeviceError


def sign(session: Any, statement: bytes) -> StatementSignature:
    """Sign a report; what the device gives is verified before it is trusted.

    Raises:
        DeviceError: this is no report (code ``not_a_report``), the key is missing (``major_keys``), or it
            signs wrongly (``device_failed``).

    """
    if not _is_report(statement):
        raise DeviceError(_("The report key signs reports of this console only."), code="not_a_report")
    private, found = find_report_key(session)
    public_spki = canonical_spki(found)
    return StatementSignature(sign_and_verify(private, public_spki, statement), public_spki)


def _is_report(statement: bytes) -> bool:
    try:
        content = json.loads(statement)
    except ValueError:
        return False
    return isinstance(content, dict) and str(content.get("type", "")).startswith("kmes-")
