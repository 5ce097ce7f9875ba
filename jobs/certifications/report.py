"""The report of a self-certification: the bytes that are signed. Anybody can read and verify them.

Verify with OpenSSL, after the three files were downloaded from the run's page::

    openssl dgst -sha256 -verify signer.pem -signature report.sig report.json
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from hsm.models import HsmDevice
from jobs.certifications.checklist import BY_NAME, verdict
from jobs.certifications.models import Certification, CertificationStep
from keygroups.models import KeyGroup
from kmes.core.clock import now

TYPE = "kmes-self-certification"
VERSION = 1
VERIFY_COMMAND = "openssl dgst -sha256 -verify signer.pem -signature report.sig report.json"


def build_report(certification: Certification, *, device: HsmDevice | None, left_behind: list[str]) -> str:
    """Return the report as JSON text; the step that signs it is not part of it."""
    steps = [step for step in certification.steps.select_related("job") if step.name != "report"]
    content = {
        "type": TYPE,
        "version": VERSION,
        "number": str(certification),
        "result": verdict(steps).value,
        "requested_by": certification.actor_name,
        "started_at": _time(certification.created_at),
        "signed_at": _time(now()),
        "device": _device(device),
        "azure": _azure(certification.load_group()),
        "steps": [_step(step) for step in steps],
        "left_behind": left_behind,
    }
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None


def _device(device: HsmDevice | None) -> dict[str, Any]:
    if device is None:
        return {}
    return {
        "serial": device.serial,
        "label": device.label,
        "manufacturer": device.manufacturer,
        "model": device.model,
        "firmware": device.firmware,
        "pmk_check_value": device.pmk_kcv,
        "mfk_check_value": device.mfk_kcv,
        "self_test_passed": device.self_test_ok if device.self_test else None,
        "self_test_at": _time(device.self_test_at),
    }


def _azure(group: KeyGroup | None) -> dict[str, Any]:
    if group is None:
        return {}
    credential, vault = group.credential, group.vault
    return {
        "cloud": credential.cloud,
        "credential": credential.name,
        "tenant_id": credential.tenant_id,
        "client_id": credential.client_id,
        "vault": vault.name,
        "vault_url": vault.url,
        "tier": vault.tier,
        "recovery_level": vault.recovery_level,
        "recoverable_days": vault.recoverable_days,
        "key_name": group.azure_name,
        "key_type": group.key_spec,
    }


def _step(step: CertificationStep) -> dict[str, Any]:
    seconds = seconds_of(step)
    return {
        "name": step.name,
        "title": str(BY_NAME[step.name].title),
        "result": step.state,
        "detail": step.detail,
        "started_at": _time(step.started_at),
        "finished_at": _time(step.finished_at),
        "seconds": round(seconds, 3) if seconds is not None else None,
        "job": str(step.job) if step.job else None,
        "evidence": step.evidence,
    }


def seconds_of(step: CertificationStep) -> float | None:
    """Return how long a step took, in seconds; None for one that was not done."""
    if step.started_at is None or step.finished_at is None:
        return None
    return max(0.0, (step.finished_at - step.started_at).total_seconds())
