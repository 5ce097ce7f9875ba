"""Creates a job: its row, its targets, its log row and its hint, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction

from cloudcreds.models import CloudCredential, KeyVault
from jobs.engine import hints
from jobs.engine.approval_requests import add_request, require_approvals
from jobs.engine.signatures import sign_job, sign_target
from jobs.models import Job, JobTarget
from jobs.spec import registry
from keygroups.models import Key, KeyGroup
from kmes.accounts.rights import check
from kmes.accounts.scopes import Place, places_of
from kmes.core.actor import Actor
from kmes.core.clock import now
from logging_reports.services import Subject, record


@dataclass(frozen=True)
class NewJob:
    """What a job that is to be created is about."""

    kind: str
    subject: str
    # None for a job on keys of several groups, which its runner works on one after the other.
    group: KeyGroup | None = None
    credential: CloudCredential | None = None
    # For a job that holds no Azure key; else it is that of its group, or of its first key's.
    vault: KeyVault | None = None
    keys: Sequence[Key] = ()
    params: dict[str, Any] = field(default_factory=dict)
    retry_of: Job | None = None
    follows: Job | None = None
    # The job on many key groups that opens this one.
    part_of: Job | None = None

    @property
    def places(self) -> tuple[Place, ...]:
        """Return where the job will act."""
        groups = {group.pk: group for group in (self.group, *(key.group for key in self.keys)) if group is not None}
        named = KeyGroup.objects.filter(pk__in=self.params.get("group_ids", ())).select_related("vault")
        return places_of([*groups.values(), *named]) or (self.vault.places if self.vault is not None else ())


def create_job(
    new: NewJob,
    *,
    actor: Actor,
    idempotency_key: str,
    before: Callable[[], None] | None = None,
    reason: str = "",
) -> Job:
    """Create the job, signed, or return the one created before with the same idempotency key.

    ``before`` changes the rows the job is about, in the same transaction; it may refuse by raising. ``reason`` is what
    approvers read, where a policy asks for approvals; the job then waits for them.

    Raises:
        InputError: approvals are needed, and no reason is given.
        PermissionRefused: the actor lacks the right on what it is about, or this process may not ask for such a job.
        RequestKeyError: the key that it signs with can't be read.

    """
    if idempotency_key:
        existing = Job.objects.filter(idempotency_key=idempotency_key).first()
        if existing is not None:
            return existing
    try:
        with transaction.atomic():
            job = Job(
                kind=new.kind,
                group=new.group,
                credential=new.credential or (new.group.credential if new.group else None),
                vault=_vault(new),
                subject=new.subject[:160],
                actor_name=actor.name,
                trigger=actor.trigger,
                requested_by_id=actor.user_id,
                params=new.params,
                azure_lock=_azure_lock(new),
                idempotency_key=idempotency_key or None,
                retry_of=new.retry_of,
                follows=new.follows,
                part_of=new.part_of,
                run_after=now(),
            )
            # Kinds check before they say anything of the objects; this holds for whoever asks for a job.
            check(actor, registry.right_for(job), new)
            sign_job(job, [key.pk for key in new.keys])
            needed = require_approvals(job, [key.pk for key in new.keys], reason=reason)
            job.save(force_insert=True)
            if before is not None:
                before()
            JobTarget.objects.bulk_create(
                JobTarget(job=job, key=key, ordinal=ordinal) for ordinal, key in enumerate(new.keys, 1)
            )
            if needed:
                add_request(job, needed, reason=reason, actor=actor, subject=subject_of(job))
            record(
                "job.retried" if new.retry_of else "job.requested",
                actor=actor,
                message=f"{job.recorded_title}: {new.subject}",
                subject=subject_of(job),
                job_id=job.pk,
                job_code=job.code,
            )
            if not needed:
                hints.send_on_commit(job.pk)
            return job
    except IntegrityError:
        # Two requests with one key at the same moment: the second returns the job of the first.
        existing = Job.objects.filter(idempotency_key=idempotency_key).first() if idempotency_key else None
        if existing is None:
            raise
        return existing


def _vault(new: NewJob) -> KeyVault | None:
    if not registry[new.kind].holds_azure_key:
        # Of the work on a group that reaches no vault, none: it need not wait for one.
        return new.vault
    group = new.group or (new.keys[0].group if new.keys else None)
    return group.vault if group is not None else None


def _azure_lock(new: NewJob) -> str:
    """Return the Azure key the job holds while it runs, "" for none."""
    return new.group.azure_lock if new.group is not None and registry[new.kind].holds_azure_key else ""


def add_target(job: Job, key: Key, *, state: str) -> None:
    """Add a key that the worker made or chose while the job runs."""
    target = JobTarget(job=job, key=key, ordinal=job.targets.count() + 1, state=state)
    sign_target(target)
    target.save(force_insert=True)


def subject_of(job: Job, key: Key | None = None, version: str = "", *, group: KeyGroup | None = None) -> Subject:
    """Return what a log row about this job refers to; ``group`` is the one it works on now."""
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
