"""Jobs of the set-up that wait for a grant: a new one needs up to 15 minutes, and acts in new tokens only.

A user in the set-up has just granted the rights in the cloud, so a job with a missing right tries again with a new sign-in,
until the time is up or a person cancels. Other jobs fail and name the missing right.
(docs/azure.md#permissions)
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from jobs.choices import JobState
from jobs.engine.interruptions import RightsMissing
from jobs.models import Job
from kmes.core.clock import now
from kmes.core.errors import KmesError

# How long a grant may take, counted from the first refusal.
LONGEST = timedelta(minutes=15)
# Seconds until the next try; the last one repeats.
PAUSES = (15, 30, 60)
# Members of a job's ``run_notes``: that it waits for grants, since when a right is missing, how often it was tried again.
_AWAITS, _SINCE, _TRIES = "awaits_grants", "right_missing_since", "grant_tries"


def await_grants(job: Job) -> None:
    """Let a new job wait for grants. Belongs into the transaction that creates it."""
    job.run_notes[_AWAITS] = True
    Job.objects.filter(pk=job.pk).update(run_notes=job.run_notes)


def pause_after(job: Job, error: KmesError) -> float | None:
    """Return the seconds until a job tries again that misses a right; None for a job that does not wait for it."""
    is_missing = isinstance(error, RightsMissing) or (
        isinstance(error, CloudError) and error.kind == CloudErrorKind.PERMISSION
    )
    if not is_missing or not job.run_notes.get(_AWAITS):
        return None
    pause = PAUSES[min(job.run_notes.get(_TRIES, 0), len(PAUSES) - 1)]
    return pause if now() + timedelta(seconds=pause) <= (gives_up_at(job) or now() + LONGEST) else None


def record_wait(job: Job) -> None:
    """Record on the job that it waits once more, within the transaction that returns it to the queue."""
    job.run_notes.setdefault(_SINCE, now().isoformat())
    job.run_notes[_TRIES] = job.run_notes.get(_TRIES, 0) + 1
    Job.objects.filter(pk=job.pk).update(run_notes=job.run_notes)


def has_waited(job: Job) -> bool:
    """Return whether the job was refused for a missing right, so that it needs a new sign-in."""
    return _SINCE in job.run_notes


def gives_up_at(job: Job) -> datetime | None:
    """Return until when the job tries again; None while no right is missing."""
    since = job.run_notes.get(_SINCE)
    return datetime.fromisoformat(since) + LONGEST if since else None


def next_try_at(job: Job) -> datetime | None:
    """Return when a job tries again that waits for a grant now; None for any other."""
    is_waiting = job.state == JobState.QUEUED and job.cancel_requested_at is None and has_waited(job)
    return job.run_after if is_waiting else None
