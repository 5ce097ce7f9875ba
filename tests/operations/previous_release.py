"""A populated database of release 0.1.0 as it first stood: ``python -m tests.operations.previous_release ACT``.

The schema is made by the migrations that release had, and the rows by the models as they then were, so
nothing of the present code decides what is in it. Frozen: a later release adds a file beside this one.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import django

django.setup()

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from hsm.models import HsmDevice
from jobs.models import EphemeralKek, Intent, Job, JobMessage, JobStep, JobTarget
from keygroups.models import CloudVersion, Key, KeyGroup, RotationSlot
from kmes.accounts.models import User
from kmes.core.schema import Fit, check_fit
from kmes.operations.backup import write_backup

LEAVES = [
    ("accounts", "0001_initial"),
    ("auth", "0012_alter_user_first_name_max_length"),
    ("axes", "0010_accessattemptexpiration"),
    ("cloudcreds", "0002_pace"),
    ("contenttypes", "0002_remove_content_type_name"),
    ("hsm", "0002_availability"),
    ("jobs", "0001_initial"),
    ("keygroups", "0002_comparison"),
    ("logging_reports", "0002_immutable"),
    ("sessions", "0001_initial"),
]
AT = datetime(2026, 11, 1, 12, 30, 15, 123456, tzinfo=UTC)
GROUPS, KEYS_PER_GROUP = 3, 4
# As that release wrote them: the hashes must verify for ever, whatever becomes of the code.
LOG = (
    (
        "user.created",
        "First administrator ada created",
        "24e31d5e1a373df12953162f1f52f62e82eaf25ec3baf151e80872e70ad602e4",
    ),
    ("access.login", "Signed in", "b194e21f3043ef95301e6dadb7b73a385d8cbed6d3010ae789f9157fcbe9af6c"),
)


def without_squashed(executor: MigrationExecutor) -> MigrationExecutor:
    """Let it apply the migrations that squashed ones replace."""
    executor.loader = MigrationLoader(connection, replace_migrations=False)
    return executor


def populate() -> None:
    """Make the schema of that release, and rows of every kind in it."""
    executor = without_squashed(MigrationExecutor(connection))
    executor.migrate(LEAVES)
    apps = executor.loader.project_state(LEAVES).apps
    user = apps.get_model("accounts", "User").objects.create(
        username="ada", role="admin", password="argon2$argon2id$not-a-hash", is_active=True
    )
    _device_and_cloud(apps)
    for number in range(GROUPS):
        _group(apps, number, user)
    _log(apps)
    apps.get_model("axes", "AccessAttempt").objects.create(
        username="eve", ip_address="192.0.2.1", failures_since_start=2
    )


def _device_and_cloud(apps) -> None:
    apps.get_model("hsm", "HsmDevice").objects.create(
        serial="S-1",
        label="KMES",
        manufacturer="m",
        model="m",
        firmware="1",
        mfk_public_spki=b"\x30\x00mfk",
        mfk_kcv="D4E5F6",
        pmk_kcv="A1B2C3",
        sentinel_hash="5e" * 32,
        mechanisms=["AES_KEY_WRAP_PAD"],
        is_designated=True,
        last_seen_at=AT,
    )
    credential = apps.get_model("cloudcreds", "CloudCredential").objects.create(
        name="Contoso", tenant_id="t", client_id="c", sealed_secret=b"\x00sealed\xff", secret_set_at=AT
    )
    apps.get_model("cloudcreds", "KeyVault").objects.create(
        credential=credential, name="kv", url="https://kv.vault.azure.net", tier="premium"
    )


def _group(apps, number: int, user) -> None:
    model = lambda name: apps.get_model("jobs", name)  # noqa: E731 - a short name for a long list
    vault = apps.get_model("cloudcreds", "KeyVault").objects.get()
    group = apps.get_model("keygroups", "KeyGroup").objects.create(
        name=f"group-{number}",
        key_spec="P-256",
        usage=["sign"],
        credential_id=vault.credential_id,
        vault=vault,
        azure_name=f"group-{number}",
        rotation_anchor_at=AT,
        next_due_at=AT + timedelta(days=90),
        tags={"team": "pay"},
    )
    job = model("Job").objects.create(
        code=f"JOB00{number}",
        kind="synchronize",
        state="succeeded",
        group=group,
        subject="k",
        actor_name="ada",
        trigger="user",
        requested_by=user,
        run_after=AT,
        params={"names": []},
    )
    for ordinal in range(KEYS_PER_GROUP):
        key = apps.get_model("keygroups", "Key").objects.create(
            group=group,
            name=f"key-{number}-{ordinal}",
            key_spec="P-256",
            public_spki=b"\x30spki",
            wrapped_private=bytes(range(256)),
            thumbprint=f"{number}{ordinal}" * 32,
            created_by="ada",
        )
        apps.get_model("keygroups", "CloudVersion").objects.create(
            key=key,
            group=group,
            vault=vault,
            azure_name=group.azure_name,
            azure_version=f"{number}{ordinal}",
            state="active" if ordinal == KEYS_PER_GROUP - 1 else "superseded",
            pushed_at=AT,
        )
        model("JobTarget").objects.create(job=job, key=key, ordinal=ordinal + 1, state="done")
        model("Intent").objects.create(
            job=job, fence=1, operation="import", azure_lock="kv/x", key=key, state="ok", sent_at=AT
        )
    model("JobStep").objects.create(job=job, name="wrap_key", ordinal=1, state="done", started_at=AT, finished_at=AT)
    model("JobMessage").objects.create(job=job, at=AT, text="Synchronizing 4 HSM protected key(s)...")
    model("EphemeralKek").objects.create(
        job=job, vault=vault, name=f"kmes-kek-{number}", modulus_bits=3072, state="gone", expires_at=AT
    )
    model("RotationSlot").objects.create(group=group, due_at=AT, job=job)


def _log(apps) -> None:
    """Write the rows with the hashes that release computed."""
    previous = "0" * 64
    for sequence, (event, message, digest) in enumerate(LOG, 1):
        apps.get_model("logging_reports", "LogEntry").objects.create(
            service="audit",
            sequence=sequence,
            at=AT + timedelta(seconds=sequence),
            category="access",
            severity="info",
            event=event,
            actor_name="ada",
            actor_trigger="user",
            actor_user_id=1,
            job_id=UUID("00000000-0000-4000-8000-000000000001"),
            message=message,
            data={"b": [1, None, True], "ä": "ü"},
            previous_hash=previous,
            hash=digest,
        )
        previous = digest
    apps.get_model("logging_reports", "LogHead").objects.create(service="audit", sequence=len(LOG), hash=previous)


def check() -> None:
    """Read everything by the present models; any difference ends it."""
    keys = GROUPS * KEYS_PER_GROUP
    user, device, group = User.objects.get(), HsmDevice.objects.get(), KeyGroup.objects.order_by("name")[0]
    assert (user.username, user.role, user.has_right("user.manage")) == ("ada", "admin", True)
    assert not user.must_change_password
    assert (device.is_designated, device.pmk_kcv, bytes(device.mfk_public_spki)) == (True, "A1B2C3", b"\x30\x00mfk")
    assert bytes(group.credential.sealed_secret) == b"\x00sealed\xff"
    assert (group.name, group.tags, group.rotate_every, group.rotation_anchor_at) == (
        "group-0",
        {"team": "pay"},
        90,
        AT,
    )
    assert {bytes(key.wrapped_private) for key in Key.objects.all()} == {bytes(range(256))}
    counted = {
        model.__name__: model.objects.count()
        for model in (
            KeyGroup,
            Key,
            CloudVersion,
            Job,
            JobTarget,
            JobStep,
            JobMessage,
            Intent,
            EphemeralKek,
            RotationSlot,
        )
    }
    assert counted == {
        "KeyGroup": GROUPS,
        "Key": keys,
        "CloudVersion": keys,
        "Job": GROUPS,
        "JobTarget": keys,
        "JobStep": GROUPS,
        "JobMessage": GROUPS,
        "Intent": keys,
        "EphemeralKek": GROUPS,
        "RotationSlot": GROUPS,
    }, counted
    assert CloudVersion.objects.filter(state="active").count() == GROUPS
    assert str(Job.objects.get(code="JOB000").requested_by) == "ada"
    assert check_fit() == Fit.OK
    print("as it was")


def back_up(path: str) -> None:
    """Write a backup as that release would have: this one's command refuses a database of another release."""
    write_backup(Path(path), passphrase=None)


def fit() -> None:
    """Say how the database stands to the present code."""
    print(check_fit())


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
