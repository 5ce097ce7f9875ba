"""Rows for the shell's tests. Nothing here asks the device or Azure."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth import get_user_model

from jobs.certifications.models import Certification
from jobs.models import Job
from keygroups.models import CloudVersion, Key
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from kmes.core.ids import new_job_code, new_uuid
from logging_reports import export_lifecycle
from logging_reports.models import LogCheckpoint
from logging_reports.notices import channels
from logging_reports.notices.channels import ChannelValues
from logging_reports.notices.choices import ChannelKind
from logging_reports.selectors import LogFilter
from logging_reports.services import record


def _public_half() -> bytes:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def make_key(group, name, *, thumbprint="", version=""):
    """Make a key, synchronized when it gets a version."""
    key = Key.objects.create(
        group=group,
        name=name,
        key_spec="P-256",
        public_spki=_public_half(),
        wrapped_private=b"w",
        thumbprint=thumbprint,
        created_by="ada",
    )
    if version:
        CloudVersion.objects.create(
            key=key,
            group=group,
            vault=group.vault,
            azure_name=group.azure_name,
            azure_version=version,
            state="active",
            pushed_at=now(),
        )
    return key


def make_job(group, *, state="succeeded", **values):
    """Make a job on the group's key."""
    values = {"kind": "synchronize", "subject": "payments-1", **values}
    return Job.objects.create(state=state, group=group, actor_name="ada", trigger="user", run_after=now(), **values)


def fill_other_lists(group, count: int) -> None:
    """Make rows of each list that is neither keys nor jobs: users, notices, channels, runs, exports, checkpoints."""
    for _number in range(count):
        unique = new_job_code()
        get_user_model().objects.create_user(f"user-{unique}", role="operator")
        record("job.failed", actor=SYSTEM, message=f"A job failed {unique}", job_id=new_uuid())
        values = ChannelValues(name=f"hook-{unique}", url="https://alerts.example.com/", rules={"jobs": "error"})
        channels.add_channel(ChannelKind.WEBHOOK, values, actor=SYSTEM)
        state = "succeeded" if Certification.objects.exists() else "failed"
        Certification.objects.create(
            vault=group.vault, vault_name="kv", key_spec="P-256", actor_name="ada", state=state
        )
        export = export_lifecycle.request(LogFilter("audit"), form="csv", query="service=audit", actor=SYSTEM)
        # Only few may be open at a time.
        export_lifecycle.cancel(export, actor=SYSTEM)
        newest = LogCheckpoint.objects.first()
        LogCheckpoint.objects.create(
            number=newest.number + 1 if newest else 1,
            at=now(),
            text="-",
            signature=b"-",
            public_key=b"-",
            hash="0" * 64,
        )


def body(answer) -> str:
    """The page as text."""
    return answer.content.decode()
