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


def _add_user(_group) -> None:
    get_user_model().objects.create_user(f"user-{new_job_code()}", role="operator")


def _add_notice(_group) -> None:
    record("job.failed", actor=SYSTEM, message=f"A job failed {new_job_code()}", job_id=new_uuid())


def _add_channel(_group) -> None:
    values = ChannelValues(name=f"hook-{new_job_code()}", url="https://alerts.example.com/", rules={"jobs": "error"})
    channels.add_channel(ChannelKind.WEBHOOK, values, actor=SYSTEM)


def _add_certification(group) -> None:
    state = "succeeded" if Certification.objects.exists() else "failed"
    Certification.objects.create(vault=group.vault, vault_name="kv", key_spec="P-256", actor_name="ada", state=state)


def _add_export(_group) -> None:
    export = export_lifecycle.request(LogFilter("audit"), form="csv", query="service=audit", actor=SYSTEM)
    # Only few may be open at a time.
    export_lifecycle.cancel(export, actor=SYSTEM)


def _add_checkpoint(_group) -> None:
    newest = LogCheckpoint.objects.first()
    LogCheckpoint.objects.create(
        number=newest.number + 1 if newest else 1, at=now(), text="-", signature=b"-", public_key=b"-", hash="0" * 64
    )


# Of each list that is neither keys nor jobs, how a row of it is made. A notice is a row of the log as well.
OTHER_LISTS = {
    "users": _add_user,
    "notices": _add_notice,
    "channels": _add_channel,
    "certifications": _add_certification,
    "exports": _add_export,
    "checkpoints": _add_checkpoint,
}


def fill_other_lists(group, count: int, *names: str) -> None:
    """Make rows of the lists of ``OTHER_LISTS``, or of those named; others are left as they are."""
    for name, add_row in OTHER_LISTS.items():
        for _number in range(count if name in (names or OTHER_LISTS) else 0):
            add_row(group)


def body(answer) -> str:
    """The page as text."""
    return answer.content.decode()
