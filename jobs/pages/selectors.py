"""Reads of jobs for lists, pages, the drawer and menus. Writes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.urls import reverse

from cloudcreds.activity import Activity
from jobs.choices import ENDED_STEP_STATES, FAILED_STATES, OPEN_STATES, SUCCEEDED_STATES, StepState, TargetState
from jobs.engine import fresh_grants
from jobs.kinds.list_vaults import spec as list_vaults
from jobs.kinds.many_groups import spec as many_groups
from jobs.kinds.test_connection import spec as test_connection
from jobs.models import Job, JobMessage, JobStep, JobTarget, about_group
from jobs.pages.parts import Matrix, read_matrix
from keygroups.filters import read_uuid
from kmes.core.ids import job_code
from logging_reports.choices import Service, Severity
from logging_reports.models import LogEntry

DRAWER_SIZE = 20
# Of the failed calls of a job, so many are asked which one failed it.
CALLS_LOOKED_AT = 50
# How many of a long log's last lines the page shows unless asked for all, and how many one update adds.
LOG_TAIL = 1000
LOG_UPDATE = 500
COUNT_CAP = 10_000


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are wanted; empty means any. ``since`` is inclusive, ``until`` exclusive."""

    tab: str = "all"
    user_id: int | None = None
    kind: str = ""
    state: str = ""
    group: UUID | None = None
    key: UUID | None = None
    vault: UUID | None = None
    part_of: UUID | None = None
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def names_parts(self) -> bool:
        """Return whether it asks for what a part of a job on many key groups is about."""
        return bool(self.group or self.key or self.vault or self.text)


@dataclass(frozen=True)
class LogLine:
    """One numbered line of a job's log."""

    number: int
    message: JobMessage


@dataclass(frozen=True)
class JobView:
    """All a job's page shows; ``digest`` changes when any of it does."""

    job: Job
    steps: list[JobStep]
    targets: list[Any]
    retries: list[Job]
    followers: list[Job]
    line_count: int
    why: LogEntry | None
    matrix: Matrix | None
    digest: str
    lines: list[LogLine] = field(default_factory=list)

    @property
    def steps_done(self) -> int:
        """Return how many steps are over and well."""
        return sum(step.state in ENDED_STEP_STATES for step in self.steps)

    @property
    def running_step(self) -> JobStep | None:
        """Return the step under way."""
        return next((step for step in self.steps if step.state == StepState.RUNNING), None)

    @property
    def failed_step(self) -> JobStep | None:
        """Return the step that failed."""
        return next((step for step in self.steps if step.state == StepState.FAILED), None)

    @property
    def warned_steps(self) -> list[JobStep]:
        """Return the steps that are done and left something behind, which their detail names."""
        return [step for step in self.steps if step.state == StepState.WARNED]


def _count(rows: QuerySet[Any], **conditions: Any) -> Coalesce:
    """Return the expression that counts a job's rows of another table."""
    own = rows.filter(job=OuterRef("pk"), **conditions).order_by().values("job")
    counted = own.annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def _count_parts() -> Coalesce:
    """Return the expression that counts the parts of a job that succeeded."""
    done = Job.objects.filter(part_of=OuterRef("pk"), state__in=SUCCEEDED_STATES).order_by().values("part_of")
    counted = done.annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def _jobs_with_steps() -> QuerySet[Job]:
    running = JobStep.objects.filter(job=OuterRef("pk"), state=StepState.RUNNING).order_by("-ordinal")
    return Job.objects.annotate(
        steps_begun=_count(JobStep.objects.all()),
        steps_done=_count(JobStep.objects.all(), state__in=ENDED_STEP_STATES),
        keys_begun=_count(JobTarget.objects.all()),
        keys_done=_count(JobTarget.objects.all(), state=TargetState.DONE),
        parts_done=_count_parts(),
        step_now=Subquery(running.values("name")[:1]),
    )


def list_jobs(wanted: JobFilter) -> QuerySet[Job]:
    """Return the jobs the filter asks for, newest first, each with its counts of steps."""
    jobs = _jobs_with_steps().select_related("group__vault").filter(_in_tab(wanted.tab, wanted.user_id))
    jobs = jobs.filter(_of_parts(wanted))
    if wanted.kind:
        jobs = jobs.filter(Q(kind=wanted.kind) | Q(kind=many_groups.KIND, params__each=wanted.kind))
    if wanted.state:
        jobs = jobs.filter(state=wanted.state)
    if wanted.group:
        jobs = jobs.filter(about_group(wanted.group))
    if wanted.key:
        jobs = jobs.filter(pk__in=Job.objects.filter(targets__key_id=wanted.key).values("pk"))
    if wanted.vault:
        jobs = jobs.filter(group__vault=wanted.vault)
    if wanted.since:
        jobs = jobs.filter(created_at__gte=wanted.since)
    if wanted.until:
        jobs = jobs.filter(created_at__lt=wanted.until)
    if wanted.text:
        text = wanted.text.removeprefix("job-")
        jobs = jobs.filter(
            Q(code__icontains=text)
            | Q(subject__icontains=wanted.text)
            | Q(actor_name__icontains=wanted.text)
            | Q(error_what__icontains=wanted.text)
            | Q(group__name__icontains=wanted.text)
        )
    return jobs.order_by("-created_at", "-pk")


def _of_parts(wanted: JobFilter) -> Q:
    """Leave out the parts of jobs on many key groups, which are one line each, unless the filter asks for some."""
    if wanted.part_of:
        return Q(part_of=wanted.part_of)
    return Q() if wanted.names_parts else Q(part_of=None)


def _in_tab(tab: str, user_id: int | None) -> Q:
    tabs = {
        "running": Q(state__in=OPEN_STATES),
        "failed": Q(state__in=FAILED_STATES),
        "mine": Q(requested_by_id=user_id),
    }
    return tabs.get(tab, Q())


def recent_jobs() -> list[Job]:
    """Return the drawer's jobs of everybody: open ones first, then the newest."""
    is_open = Case(When(state__in=OPEN_STATES, then=Value(0)), default=Value(1), output_field=IntegerField())
    return list(_jobs_with_steps().filter(part_of=None).order_by(is_open, "-created_at")[:DRAWER_SIZE])


def digest_of(rows: list[Job], count: int) -> str:
    """Return a short word that changes when what a list shows of these jobs, or their number, does."""
    seen = f"{count}|" + "|".join(
        f"{job.pk}{job.state}{_counts(job)}{job.waiting_for}{job.run_after}{job.finished_at}" for job in rows
    )
    return _short(seen)


def _counts(job: Job) -> str:
    counts = (getattr(job, name, "") for name in ("steps_begun", "steps_done", "keys_begun", "keys_done", "parts_done"))
    return "/".join(map(str, counts))


def _short(text: str) -> str:
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()


def find_job(code: str) -> Job | None:
    """Return the job of this code (``7F3KQ2`` or ``job-7F3KQ2``, in any case), with what its page names."""
    related = ("group__vault", "group__credential", "credential", "retry_of", "follows", "part_of", "requested_by")
    found = Job.objects.select_related(*related, "approval_request").filter(code=job_code(code))
    return found.defer("credential__sealed_secret", "group__credential__sealed_secret").first()


def find_jobs(ids: Iterable[str]) -> list[Job]:
    """Return the jobs of these ids, as texts, newest first; texts that are no id are left out."""
    related = ("group__vault", "group__credential", "credential", "retry_of", "follows", "part_of", "requested_by")
    found = Job.objects.select_related(*related).filter(pk__in=filter(None, map(read_uuid, ids)))
    return list(found.defer("credential__sealed_secret", "group__credential__sealed_secret").order_by("-created_at"))


def view_job(job: Job) -> JobView:
    """Return all the page shows of a job but its log lines."""
    steps = list(job.steps.all())
    targets = list(
        job.targets.select_related("key").defer("key__wrapped_private", "key__public_spki").order_by("ordinal")
    )
    linked = list(Job.objects.filter(Q(retry_of=job) | Q(follows=job)).order_by("created_at"))
    retries = [other for other in linked if other.retry_of_id == job.pk]
    followers = [other for other in linked if other.follows_id == job.pk]
    line_count = job.messages.count()
    parts = [
        job.state,
        job.waiting_for,
        str(job.run_after),
        str(job.cancel_requested_at),
        str(line_count),
        str(len(linked)),
    ]
    parts += [f"{step.pk}{step.state}{step.detail}{step.finished_at}" for step in steps]
    parts += [f"{target.pk}{target.state}{target.detail}" for target in targets]
    matrix = read_matrix(job)
    parts += [repr(matrix)] if matrix else []
    why = find_reason(job) if job.state in FAILED_STATES else None
    return JobView(job, steps, targets, retries, followers, line_count, why, matrix, _short("|".join(parts)))


def log_lines(job: Job, *, after: int, limit: int | None = None) -> list[LogLine]:
    """Return the job's log lines past line ``after``, with their numbers from 1 on."""
    stop = None if limit is None else after + limit
    return [
        LogLine(number, message) for number, message in enumerate(job.messages.order_by("pk")[after:stop], after + 1)
    ]


def find_reason(job: Job) -> LogEntry | None:
    """Return the call to Azure that failed the job: what Azure itself said.

    What is cleaned up after it may fail too; so the newest call that says what the job says goes first. A connection
    test says what failed in a line for each check, and the first of them counts.
    """
    told = job.error_what
    if job.error_code == "probe_failed":
        line = job.messages.filter(severity=Severity.ERROR).order_by("pk").values_list("text", flat=True).first() or ""
        told = line.partition(": ")[2]
    rows = LogEntry.objects.filter(service=Service.AZURE, job_id=job.pk)
    failed = rows.filter(Q(http_status__gte=400) | Q(severity=Severity.ERROR)).order_by("-sequence")
    calls = list(failed[:CALLS_LOOKED_AT])
    said = (call for call in calls if told and told in call.message)
    return next(said, calls[0] if calls else None)


def find_activity(credential_id: UUID) -> Activity | None:
    """Return the open connection test or vault listing of a credential, for its page."""
    kinds = (test_connection.KIND, list_vaults.KIND)
    job = Job.objects.filter(credential=credential_id, kind__in=kinds, state__in=OPEN_STATES).first()
    if job is None:
        return None
    cancel_url = reverse("jobs:cancel", args=[job.code])
    return Activity(f"{job}: {job.title}", job.get_absolute_url(), fresh_grants.next_try_at(job), cancel_url)


def count_running() -> int:
    """Return how many jobs are queued or running."""
    return Job.objects.filter(state__in=OPEN_STATES, part_of=None).count()
