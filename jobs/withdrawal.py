"""What becomes of a user's open jobs when the user is deactivated or loses rights.

A job that no worker has begun is cancelled. One that has begun is checked when a worker takes it up again
(``jobs.engine.entitlement``), which ends it as refused, with its clean-up.
"""

from __future__ import annotations

from django.db.models import Q
from django.utils.translation import ngettext

from jobs.choices import OPEN_STATES, UNBEGUN_STATES, JobState
from jobs.engine import hints, lifecycle
from jobs.engine.creation import subject_of
from jobs.engine.entitlement import is_entitled
from jobs.models import Job
from jobs.spec import registry
from keygroups import lifecycle as key_lifecycle
from keygroups import rotation_slots
from keygroups.choices import SlotState
from kmes.accounts.models import User
from kmes.core.actor import Actor
from logging_reports.services import record


class OpenJobs:
    """The open jobs that a user requested, as ``kmes.accounts.withdrawal`` asks for them."""

    def describe(self, user: User, kept: User) -> list[str]:
        """Return how many jobs are cancelled and how many stop."""
        jobs = _jobs_without_right(user, kept)
        queued = sum(job.state in UNBEGUN_STATES for job in jobs)
        running = sum(job.state == JobState.RUNNING for job in jobs)
        sentences = []
        if queued:
            sentences.append(
                ngettext(
                    "%(count)d queued job requested by %(user)s is canceled.",
                    "%(count)d queued jobs requested by %(user)s are canceled.",
                    queued,
                )
                % {"count": queued, "user": user}
            )
        if running:
            sentences.append(
                ngettext(
                    "%(count)d running job of %(user)s is not interrupted; it is refused if it has to be taken up again.",
                    "%(count)d running jobs of %(user)s are not interrupted; they are refused if they have to be taken up again.",
                    running,
                )
                % {"count": running, "user": user}
            )
        return sentences

    def end(self, user: User, kept: User, actor: Actor) -> None:
        """Cancel what no worker has begun, and have workers take up the rest at once."""
        for job in _jobs_without_right(user, kept):
            if job.state not in UNBEGUN_STATES:
                continue
            if lifecycle.cancel_queued(job, by=actor.name):
                _record_cancelled(job, user, actor)
            else:
                lifecycle.wake_job(job)
                hints.send_on_commit(job.pk)


def _jobs_without_right(user: User, kept: User) -> list[Job]:
    """Return the open jobs of a user that need a right which is not kept, oldest first. Unknown kinds count too."""
    allowed = [spec.kind for spec in registry if kept.has_right(spec.right)]
    jobs = Job.objects.filter(requested_by=user, state__in=(JobState.AWAITING, *OPEN_STATES))
    # As ``Registry.right_for``: of a job on many key groups, what is done to each counts.
    ordinary, many = Q(params__each__isnull=True), Q(params__each__isnull=False)
    found = jobs.filter((ordinary & ~Q(kind__in=allowed)) | (many & ~Q(params__each__in=allowed)))
    return [job for job in found.order_by("created_at") if not is_entitled(kept, job)]


def _record_cancelled(job: Job, user: User, actor: Actor) -> None:
    for target in job.targets.select_related("key"):
        key_lifecycle.fail_push(key=target.key)
    # Taking a right away does not give a due rotation up: the schedule serves it.
    rotation_slots.record_outcome(job_id=job.pk, state=SlotState.FAILED, why=f"{user} may not rotate keys any more")
    record(
        "job.cancelled",
        actor=actor,
        message=f"{job.recorded_title}: {job.subject}: {user}, who requested it, has lost the right",
        subject=subject_of(job),
        job_id=job.pk,
        job_code=job.code,
    )
