"""Reports signed in the device with its report key; anybody with the public half can verify them.

A report is JSON that names its own type ("kmes-…"). The key signs nothing else.
"""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext as _

from hsm.keys import canonical_spki
from hsm.major_keys import find_report_key
from hsm.signatures import sign_and_verify
from hsm.types import ReportSignature
from kmes.core.errors import DeviceError


def sign_report(session: Any, report: bytes) -> ReportSignature:
    """Sign a report with the device's report key.

    Raises:
        DeviceError: the text is not a report (code ``not_a_report``), the token has no report key
            (``major_keys``), or its signature does not verify (``device_failed``).

    """
    if not _is_report(report):
        raise DeviceError(_("The report key signs reports of this console only."), code="not_a_report")
    private, found = find_report_key(session)
    public_spki = canonical_spki(found)
    return ReportSignature(sign_and_verify(private, public_spki, report), public_spki)


def _is_report(text: bytes) -> bool:
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and str(content.get("type", "")).startswith("kmes-")
