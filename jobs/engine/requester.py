"""Who requested a job, as its row says."""

from __future__ import annotations

from jobs.models import Job
from kmes.core.actor import Actor, Trigger

_TRIGGERS = frozenset(Trigger)


def requester_of(job: Job) -> Actor:
    """Return who requested the job. A trigger that nobody here writes counts as a person's, who needs rights."""
    trigger = Trigger(job.trigger) if job.trigger in _TRIGGERS else Trigger.USER
    return Actor(job.actor_name, trigger, job.requested_by_id)
