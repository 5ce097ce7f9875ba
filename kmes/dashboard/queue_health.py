"""Whether waiting jobs are taken, by their rows; the broker only holds hints. Reads only."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, Min, OuterRef

from jobs.choices import JobState
from jobs.models import Job
from kmes.core.clock import now
from kmes.dashboard.heartbeats import Heartbeats

# A job that may run is taken within seconds, or at the next scan if its hint was lost.
STUCK_AFTER = timedelta(minutes=5)


def queued_age_seconds() -> float:
    """Return how long the oldest job that may run has been waiting; jobs whose Azure key is in use don't count."""
    moment = now()
    holder = Job.objects.filter(state=JobState.RUNNING, azure_lock=OuterRef("azure_lock")).exclude(azure_lock="")
    waiting = Job.objects.filter(~Exists(holder), state=JobState.QUEUED, run_after__lte=moment)
    oldest = waiting.aggregate(at=Min("run_after"))["at"]
    return (moment - oldest).total_seconds() if oldest else 0.0


def orphaned_jobs(heartbeats: Heartbeats) -> int:
    """Count the due jobs of a kind that no running worker knows: they wait for a worker of another release."""
    known = {kind for worker in heartbeats.fit_workers for kind in worker.kinds}
    if not known:
        return 0
    return Job.objects.filter(state=JobState.QUEUED, run_after__lte=now()).exclude(kind__in=known).count()


def queue_state(heartbeats: Heartbeats) -> str:
    """Return "ok", "unknown kind" when jobs wait for a worker of another release, or "stuck"."""
    if orphaned_jobs(heartbeats):
        return "unknown kind"
    return "stuck" if queued_age_seconds() > STUCK_AFTER.total_seconds() else "ok"
