"""Trial data in any volume: a credential, key groups, keys, versions and jobs that can't be used.

Rows are inserted by the thousand, without services and lifecycle; only ``manage.py seed`` may call this.
Nothing made here can act: no device opens the private halves, the credential has no secret and points to
a name that can't exist (RFC 2606), no group rotates or counts as live in its vault.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import transaction

from cloudcreds.choices import CloudName, VaultTier
from cloudcreds.models import CloudCredential, KeyVault
from hsm.types import KeySpec
from jobs.choices import JobState, StepState, TargetState
from jobs.kinds.synchronize import spec as synchronize
from jobs.models import Job, JobMessage, JobStep, JobTarget
from keygroups.choices import KeyUsage, VersionState
from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.core.clock import now
from kmes.core.ids import new_uuid
from logging_reports.trial_history import MARK

NAME = "seed"
# Neither an AES key wrap nor anything else: the device refuses it before it looks at a key.
NO_KEY = b"seeded: no device opens this"
NOTE = "Trial data made by manage.py seed. Its keys can't be used."
SPAN = timedelta(days=365)
STEPS = ("preflight", "create_kek", "wrap_key", "import_key", "verify_import", "record_version", "discard_kek")
BATCH = 2_000


@dataclass(frozen=True)
class SeededKey:
    """One key with all that log rows say of it."""

    group_id: str
    group: str
    key_id: str
    key: str
    version: str
    vault: str
    credential_id: str
    job_id: UUID
    job_code: str


def write_rows(*, groups: int, keys: int) -> list[SeededKey]:
    """Make groups with keys, a version for each, and a job for each group; return what the log may speak of.

    One transaction: either all of it is there or nothing is.
    """
    with transaction.atomic():
        vaults = _make_vaults()
        made = _make_groups(groups, vaults)
        jobs = _make_jobs(made)
        return _make_keys(made, jobs, keys)


def _make_vaults() -> list[KeyVault]:
    credential, _made = CloudCredential.objects.get_or_create(
        name=NAME,
        defaults={
            "cloud": CloudName.CUSTOM,
            "tenant_id": str(UUID(int=0)),
            "client_id": str(UUID(int=0)),
            "sealed_secret": b"",
            "secret_set_at": now(),
            "authority_url": "https://seed.invalid",
            "arm_url": "https://seed.invalid",
        },
    )
    vaults = []
    for number in range(1, 5):
        values = {"name": f"kv-seed-{number}", "tier": VaultTier.PREMIUM, "recovery_level": "Recoverable+Purgeable"}
        url = f"https://kv-seed-{number}.invalid"
        vaults.append(KeyVault.objects.get_or_create(credential=credential, url=url, defaults=values)[0])
    return vaults


def _make_groups(count: int, vaults: list[KeyVault]) -> list[KeyGroup]:
    taken = KeyGroup.objects.filter(name__startswith=f"{NAME}-").count()
    rows = []
    for number in range(taken + 1, taken + count + 1):
        vault = vaults[number % len(vaults)]
        name = f"{NAME}-{number:05}"
        rows.append(
            KeyGroup(
                name=name,
                key_spec=KeySpec.P_256,
                usage=[KeyUsage.SIGN.value],
                credential_id=vault.credential_id,
                vault=vault,
                azure_name=name,
                rotate=False,
                notes=NOTE,
                owner=NAME,
                tags={"seeded": "true"},
            )
        )
    return KeyGroup.objects.bulk_create(rows, batch_size=BATCH)


def _make_jobs(groups: list[KeyGroup]) -> list[Job]:
    moment = now()
    jobs = Job.objects.bulk_create(
        [
            Job(
                kind=synchronize.KIND,
                state=JobState.FAILED if number % 50 == 49 else JobState.SUCCEEDED,
                group=group,
                credential_id=group.credential_id,
                subject=group.name,
                actor_name=NAME,
                trigger="system",
                params=dict(MARK),
                run_after=moment,
                started_at=moment,
                finished_at=moment,
                error_what="Made up by manage.py seed." if number % 50 == 49 else "",
            )
            for number, group in enumerate(groups)
        ],
        batch_size=BATCH,
    )
    JobStep.objects.bulk_create(
        [
            JobStep(job=job, name=step, ordinal=place, state=StepState.DONE, started_at=moment, finished_at=moment)
            for job in jobs
            for place, step in enumerate(STEPS, start=1)
        ],
        batch_size=BATCH,
    )
    JobMessage.objects.bulk_create(
        [JobMessage(job=job, at=moment, text="Synchronizing HSM protected key(s)... (trial data)") for job in jobs],
        batch_size=BATCH,
    )
    return jobs


def _make_keys(groups: list[KeyGroup], jobs: list[Job], count: int) -> list[SeededKey]:
    keys, versions, seeded_keys = [], [], []
    for number in range(count):
        group, job = groups[number % len(groups)], jobs[number % len(groups)]
        spki = _public_half()
        key = Key(
            group=group,
            name=f"{group.name}-{number // len(groups) + 1:05}",
            key_spec=KeySpec.P_256,
            public_spki=spki,
            wrapped_private=NO_KEY,
            thumbprint=hashlib.sha256(spki).hexdigest(),
            created_by=NAME,
        )
        is_newest = number + len(groups) >= count
        keys.append(key)
        versions.append(_version(key, group, is_newest=is_newest))
        seeded_keys.append(
            SeededKey(
                str(group.pk),
                group.name,
                str(key.pk),
                key.name,
                versions[-1].azure_version,
                group.vault.name,
                str(group.credential_id),
                job.pk,
                job.code,
            )
        )
    Key.objects.bulk_create(keys, batch_size=BATCH)
    CloudVersion.objects.bulk_create(versions, batch_size=BATCH)
    JobTarget.objects.bulk_create(
        [
            JobTarget(job=jobs[number % len(jobs)], key=key, ordinal=number // len(jobs), state=TargetState.DONE)
            for number, key in enumerate(keys)
        ],
        batch_size=BATCH,
    )
    return seeded_keys


def _public_half() -> bytes:
    """Return a real P-256 public key whose private half is forgotten here and now."""
    return (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _version(key: Key, group: KeyGroup, *, is_newest: bool) -> CloudVersion:
    moment, version = now(), new_uuid().hex
    return CloudVersion(
        key=key,
        group=group,
        vault=group.vault,
        azure_name=group.azure_name,
        azure_version=version,
        kid=f"{group.vault.url}/keys/{group.azure_name}/{version}",
        state=VersionState.ACTIVE if is_newest else VersionState.SUPERSEDED,
        pushed_at=moment,
        expires_at=moment + SPAN,
        wanted_expires_at=moment + SPAN,
    )
