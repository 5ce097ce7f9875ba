"""A pytest plugin for the page tests of jobs: rows to be shown.

The rows are made without the device or Azure, because the pages touch neither.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloudcreds.models import CloudCredential, KeyVault
from jobs.models import Job, JobMessage, JobStep
from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from logging_reports.services import record
from tests.people import FRAGMENT, ROLES, body, pages, people, static_root

__all__ = ["FRAGMENT", "ROLES", "body", "pages", "people", "static_root"]


@pytest.fixture
def group(db):
    """A key group; nothing here asks the device or Azure."""
    credential = CloudCredential.objects.create(
        name="Contoso", tenant_id="t", client_id="c", sealed_secret=b"sealed", secret_set_at=now()
    )
    vault = KeyVault.objects.create(credential=credential, name="kv", url="https://kv.invalid", tier="premium")
    return KeyGroup.objects.create(
        name="payments", key_spec="P-256", credential=credential, vault=vault, azure_name="payments"
    )


def make_key(group, name="pay-1", **values):
    return Key.objects.create(
        group=group, name=name, key_spec="P-256", public_spki=b"p", wrapped_private=b"w", created_by="ada", **values
    )


def push(key, *, state="active", enabled=True, version="v1"):
    KeyGroup.objects.filter(pk=key.group_id).update(cloud_state="soft_deleted" if state == "soft_deleted" else "live")
    return CloudVersion.objects.create(
        key=key,
        group=key.group,
        vault=key.group.vault,
        azure_name=key.group.azure_name,
        azure_version=version,
        state=state,
        enabled=enabled,
        pushed_at=now(),
    )


def make_job(group=None, *, kind="synchronize", state="running", actor="ada", **values):
    values.setdefault("subject", "pay-1")
    values.setdefault("run_after", now())
    return Job.objects.create(
        kind=kind,
        state=state,
        group=group,
        credential=group.credential if group else None,
        actor_name=actor,
        trigger="user",
        **values,
    )


def make_failed(group, **values):
    job = make_job(
        group,
        state="failed",
        started_at=now() - timedelta(seconds=3),
        finished_at=now(),
        error_what="The vault refused the import.",
        error_remedy="Give the app registration the permission Import.",
        error_code="permission",
        **values,
    )
    JobStep.objects.create(job=job, name="preflight", ordinal=1, state="done", started_at=now(), finished_at=now())
    JobStep.objects.create(job=job, name="import_key", ordinal=2, state="failed", started_at=now(), detail="refused")
    record(
        "azure.permission_missing",
        actor=SYSTEM,
        message="The key permission Import is missing",
        job_id=job.pk,
        job_code=job.code,
        http_status=403,
        provider_request_id="5f3c-request",
    )
    return job


def say(job, *texts):
    for text in texts:
        JobMessage.objects.create(job=job, at=now(), text=text)
