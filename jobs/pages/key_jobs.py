"""What the Keys view shows of jobs: each key's last one, and the one that pushed it. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import OuterRef, Subquery, UUIDField

from jobs.choices import STATE_COLOURS, TargetState
from jobs.models import Job, JobTarget
from jobs.pages.tables import TRIGGER_LABELS
from jobs.spec import registry
from keygroups.key_jobs import JobSummary, KeyJobs
from keygroups.models import Key


def find_key_jobs(key_ids: Iterable[UUID]) -> dict[UUID, KeyJobs]:
    """Return for each key that had a job its last one and the last that pushed it; two queries."""
    targets = JobTarget.objects.filter(key=OuterRef("pk")).order_by("-job__created_at", "-job__pk")
    pushes = targets.filter(job__kind__in=registry.kinds_where(lambda spec: spec.pushes_keys), state=TargetState.DONE)
    rows = Key.objects.filter(pk__in=list(key_ids)).annotate(
        last_job=Subquery(targets.values("job_id")[:1], output_field=UUIDField()),
        push_job=Subquery(pushes.values("job_id")[:1], output_field=UUIDField()),
    )
    found = {pk: (last, push) for pk, last, push in rows.values_list("pk", "last_job", "push_job") if last}
    wanted = {job_id for pair in found.values() for job_id in pair if job_id}
    jobs = {job.pk: summarize(job) for job in Job.objects.filter(pk__in=wanted)}
    return {pk: KeyJobs(last=jobs.get(last), push=jobs.get(push)) for pk, (last, push) in found.items()}


def summarize(job: Job) -> JobSummary:
    """Return a job in a few words."""
    return JobSummary(
        name=str(job),
        title=job.title,
        url=job.get_absolute_url(),
        state=job.get_state_display(),
        colour=STATE_COLOURS.get(job.state, "neutral"),
        actor=job.actor_name,
        why=str(TRIGGER_LABELS.get(job.trigger, job.trigger)),  # type: ignore[call-overload]
        at=job.created_at,
    )
