"""How a job comes to be: its row, its targets, its log row and its hint, all or nothing.

The hint goes out after the commit, and may get lost, because the scan finds the row (``jobs.schedule.scans``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from cloudcreds.models import CloudCredential
from jobs.choices import JobKind
from jobs.models import Job, JobTarget
from keygroups.models import Key, KeyGroup
from kmes.core.actor import Actor
from kmes.core.clock import now
from logging_reports.services import Subject, record


@dataclass(frozen=True)
class Request:
    """What a new job is about."""

    kind: JobKind
    subject: str
    # None for a job on keys of several groups: its runner turns to one after the other.
    group: KeyGroup | None = None
    credential: CloudCredential | None = None
    keys: Sequence[Key] = ()
    params: dict[str, Any] = field(default_factory=dict)
    # Jobs that change an Azure key hold it while they run; others hold nothing.
    azure_lock: str = ""
    retry_of: Job | None = None
    follows: Job | None = None


def send_hint(job_id: UUID) -> None:
    """Tell the workers after commit that a job is due."""
    from jobs.tasks import run_job  # noqa: PLC0415 - tasks import the runners, which import this module

    run_job.hint_on_commit(job_id)


def open_job(request: Request, *, actor: Actor, idempotency_key: str, before: Callable[[], None] | None = None) -> Job:
    """Create the job row with its targets and log row, or return the one made before with the same key.

    ``before`` moves the rows the job is about; it runs in the same transaction and may refuse.
    """
    if idempotency_key:
        existing = Job.objects.filter(idempotency_key=idempotency_key).first()
        if existing is not None:
            return existing
    try:
        with transaction.atomic():
            job = Job.objects.create(
                kind=request.kind,
                group=request.group,
                credential=request.credential or (request.group.credential if request.group else None),
                subject=request.subject[:160],
                actor_name=actor.name,
                trigger=actor.trigger,
                requested_by_id=actor.user_id,
                params=request.params,
                azure_lock=request.azure_lock,
                idempotency_key=idempotency_key or None,
                retry_of=request.retry_of,
                follows=request.follows,
                run_after=now(),
            )
            if before is not None:
                before()
            JobTarget.objects.bulk_create(
                JobTarget(job=job, key=key, ordinal=ordinal) for ordinal, key in enumerate(request.keys, 1)
            )
            record(
                "job.retried" if request.retry_of else "job.requested",
                actor=actor,
                message=f"{job.recorded_title}: {request.subject}",
                subject=subject_of(job),
                job_id=job.pk,
                job_code=job.code,
            )
            send_hint(job.pk)
            return job
    except IntegrityError:
        # Two requests with one key at the same moment: the second gets the first one's job.
        existing = Job.objects.filter(idempotency_key=idempotency_key).first() if idempotency_key else None
        if existing is None:
            raise
        return existing


def subject_of(job: Job, key: Key | None = None, version: str = "", *, group: KeyGroup | None = None) -> Subject:
    """Return the plain labels a log row about this job carries; ``group`` is the one it is at now."""
    group = group or job.group or (key.group if key else None)
    credential = job.credential or (group.credential if group else None)
    return Subject(
        credential_id=str(credential.pk) if credential else "",
        credential=credential.name if credential else "",
        vault=group.vault.name if group else "",
        group_id=str(group.pk) if group else "",
        group=group.name if group else "",
        key_id=str(key.pk) if key else "",
        key=key.name if key else "",
        version=version,
    )
