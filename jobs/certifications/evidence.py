"""What proves a step: ids, versions, thumbprints and signatures, read from the rows its job left. Nothing secret."""

from __future__ import annotations

from typing import Any

from jobs.models import EphemeralKek, Job
from keygroups.models import CloudVersion, KeyGroup


def evidence_of(name: str, job: Job, group: KeyGroup) -> dict[str, Any]:
    """Return the evidence of one finished step, as plain JSON values."""
    if "proof" in job.run_notes:
        return dict(job.run_notes["proof"])
    if name in {"create", "destroy"}:
        return {"keys": [_key(target.key) for target in job.targets.select_related("key")]}
    if name in {"push", "rotate"}:
        return _pushed(job)
    if name in {"disable", "enable"}:
        version = CloudVersion.objects.get(pk=job.params["version_id"])
        return {"kid": version.kid, "enabled": version.enabled}
    return _azure_key(group)


def _key(key: Any) -> dict[str, str]:
    return {"name": key.name, "id": str(key.pk), "type": key.key_spec, "thumbprint": key.thumbprint}


def _pushed(job: Job) -> dict[str, Any]:
    versions = CloudVersion.objects.filter(key__job_targets__job=job).select_related("key").order_by("pushed_at")
    keks = EphemeralKek.objects.filter(job=job)
    return {
        "versions": [{"kid": version.kid, **_key(version.key)} for version in versions],
        "keks": [{"kid": kek.kid, "bits": kek.modulus_bits, "state": kek.state} for kek in keks],
    }


def _azure_key(group: KeyGroup) -> dict[str, Any]:
    purged_at = group.scheduled_purge_at
    return {
        "azure_name": group.azure_name,
        "state": group.cloud_state,
        "versions": sorted(group.cloud_versions.exclude(azure_version="").values_list("azure_version", flat=True)),
        "scheduled_purge_at": purged_at.isoformat(timespec="seconds") if purged_at else None,
    }
