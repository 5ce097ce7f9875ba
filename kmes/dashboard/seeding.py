"""Trial data in any volume: a credential, key groups, keys, versions, jobs and log rows that lead nowhere.

Rows go in by the thousand, past services and lifecycle, which is why nothing but ``manage.py seed`` may
call this. Nothing made here can act: no device opens the private halves, the credential has no secret
and points to a name that can't exist (RFC 2606), no group rotates or counts as live in its vault.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import transaction

from cloudcreds.choices import CloudName, VaultTier
from cloudcreds.models import CloudCredential, KeyVault
from hsm.types import KeySpec
from jobs.choices import JobKind, JobState, StepState, TargetState
from jobs.models import Job, JobMessage, JobStep, JobTarget
from keygroups.choices import KeyUsage, VersionState
from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.core.clock import now
from kmes.core.ids import new_uuid
from logging_reports.choices import Category, Service, Severity
from logging_reports.models import LogEntry
from logging_reports.seeding import MARK

NAME = "seed"
# Neither an AES key wrap nor anything else: the device refuses it before it looks at a key.
NO_KEY = b"seeded: no device opens this"
NOTE = "Trial data made by manage.py seed. Its keys can't be used."
SPAN = timedelta(days=365)
ACTORS = ("schedule", "admin1", "admin2", "carla", "dmitri")
STEPS = ("preflight", "create_kek", "wrap_key", "import_key", "verify_import", "record_version", "discard_kek")
BATCH = 2_000

# What one push leaves in the Azure Service log, in order (docs/console.md#log-categories): event, category, HTTP status, words.
PUSH = (
    ("azure.token_obtained", Category.AUTHENTICATION, 200, "Token obtained for {vault}"),
    ("azure.vault_looked_up", Category.VAULT, 200, "Vault {vault} looked up: Premium, recoverable"),
    ("azure.kek_created", Category.KEK, 200, "KEK kmes-kek-{job} created in {vault}"),
    ("azure.kek_public_read", Category.KEK, 200, "KEK public key read"),
    ("azure.key_wrapped", Category.KEY_WRAP, None, "Key {key} wrapped under kmes-kek-{job}"),
    ("azure.intent", Category.IMPORT, None, "Import of {key} about to be sent"),
    ("azure.key_imported", Category.IMPORT, 200, "Key {key} imported as version {version}"),
    ("azure.import_verified", Category.VERIFICATION, 200, "Import of {key} verified"),
    ("azure.kek_deleted", Category.KEK, 200, "KEK kmes-kek-{job} deleted"),
    ("azure.kek_purged", Category.KEK, 204, "KEK kmes-kek-{job} purged"),
)
AUDIT = (
    ("access.login", Category.ACCESS, "Signed in"),
    ("job.requested", Category.JOBS, "Synchronize HSM Protected key(s) requested for {group}"),
    ("job.started", Category.JOBS, "Job job-{job} started"),
    ("job.finished", Category.JOBS, "Job job-{job} finished"),
)
# One in so many calls fails, one in so many is throttled.
FAILURE_EVERY, THROTTLED_EVERY = 211, 97


@dataclass(frozen=True)
class Sown:
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


def sow(*, groups: int, keys: int) -> list[Sown]:
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
                kind=JobKind.SYNCHRONIZE,
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


def _make_keys(groups: list[KeyGroup], jobs: list[Job], count: int) -> list[Sown]:
    keys, versions, sown = [], [], []
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
        sown.append(
            Sown(
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
    return sown


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
    )


# --- Log rows --------------------------------------------------------------------------------
def azure_rows(sown: list[Sown]) -> Iterator[LogEntry]:
    """Yield rows of made-up pushes without end; some calls fail, some are throttled."""
    dice = random.Random(1)  # noqa: S311 - the same history each time
    number = 0
    for each in cycle(sown):
        for event, category, status, words in PUSH:
            number += 1
            row = _row(Service.AZURE, event, category, each, ACTORS[number // len(PUSH) % len(ACTORS)], words)
            row.http_status = status
            row.duration_ms = dice.randrange(4, 900)
            row.provider_request_id = str(UUID(int=dice.getrandbits(128)))
            if number % FAILURE_EVERY == 0:
                row.severity, row.event, row.http_status = Severity.ERROR.value, "azure.call_failed", 503
                row.message = f"The vault {each.vault} answered 503 (ServiceUnavailable)"
            elif number % THROTTLED_EVERY == 0:
                row.severity, row.event, row.http_status = Severity.WARNING.value, "azure.throttled", 429
                row.category, row.message = Category.THROTTLING.value, "Throttled: asked to wait 4 s"
            yield row


def audit_rows(sown: list[Sown]) -> Iterator[LogEntry]:
    """Yield rows of made-up sign-ins and jobs without end."""
    for number, each in enumerate(cycle(sown)):
        for event, category, words in AUDIT:
            yield _row(Service.AUDIT, event, category, each, ACTORS[number % len(ACTORS)], words)


def device_rows(sown: list[Sown]) -> Iterator[LogEntry]:
    """Yield rows of made-up key generation without end."""
    for each in cycle(sown):
        yield _row(Service.DEVICE, "device.key_generated", Category.DEVICE, each, "system", "Key {key} made")


ROWS = {Service.AZURE: azure_rows, Service.AUDIT: audit_rows, Service.DEVICE: device_rows}
# How the rows divide among the logs, in percent.
SHARES = {Service.AZURE: 75, Service.AUDIT: 20, Service.DEVICE: 5}


def _row(service: Service, event: str, category: Category, about: Sown, actor: str, words: str) -> LogEntry:
    message = words.format(
        vault=about.vault, key=about.key, group=about.group, job=about.job_code, version=about.version
    )
    return LogEntry(
        service=service.value,
        category=category.value,
        severity=Severity.INFO.value,
        event=event,
        actor_name=actor,
        actor_trigger="schedule" if actor == "schedule" else "user",
        credential_id=about.credential_id,
        credential=NAME,
        vault=about.vault,
        group_id=about.group_id,
        group=about.group,
        key_id=about.key_id,
        key=about.key,
        version=about.version,
        job_id=about.job_id,
        job_code=about.job_code,
        message=message,
        data=MARK,
    )


def log_begins_at() -> datetime:
    """Return since when made-up rows are spread."""
    return now() - SPAN
