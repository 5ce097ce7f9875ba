"""Whether a job may start on this worker now: not while its vault is paused, nor beyond the share of slow vaults.

All slow vaults together hold at most half of a worker's processes, counted by the claims in the database. So one
process at least stays free for the others, whichever vault, tenant or credential is silent.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from cloudcreds import circuits
from jobs.choices import JobState
from jobs.engine import lifecycle
from jobs.models import Job
from kmes.core.clock import now

# Seconds until a job looks again that found its vault's probe or its share taken.
LOOK_AGAIN_SECONDS = 5


class Pool:
    """The processes of this worker, set before they are forked; 0 outside of a worker."""

    processes = 0


def share() -> int:
    """Return how many of this worker's processes may work for slow vaults; 0 for no limit."""
    return Pool.processes // 2


def may_start(job_id: UUID, *, owner: str) -> bool:
    """Return whether a queued job may start. If not, record on the job what it waits for, and until when.

    A job that is to be cancelled may: it does not wait for its vault.
    """
    waiting = Job.objects.filter(pk=job_id, state=JobState.QUEUED, cancel_requested_at=None)
    job = waiting.filter(vault__circuit__isnull=False).select_related("vault__circuit").first()
    if job is None or job.vault is None:
        return True
    circuit, vault, moment = job.vault.circuit, job.vault, now()
    if circuit.retry_at is not None:
        if circuit.retry_at <= moment and circuits.begin_probe(vault.pk, job_id=job_id):
            return True
        reason = _("the vault “%(vault)s”, which does not answer") % {"vault": vault.name}
        lifecycle.record_wait(job_id, waiting_for=reason, run_after=max(circuit.retry_at, _soon()))
        return False
    is_slow_now = circuit.failures > 0 or (circuit.slow_until is not None and circuit.slow_until > moment)
    if is_slow_now and share() and claims_of_slow_vaults(owner).count() >= share():
        reason = _("the vault “%(vault)s”, which answers slowly; other workers stay free") % {"vault": vault.name}
        lifecycle.record_wait(job_id, waiting_for=reason, run_after=_soon())
        return False
    return True


def end_probe(job: Job) -> None:
    """Let another job try the vault, where this one tried it without a result."""
    if job.vault_id is not None:
        circuits.end_probe(job_id=job.pk)


def claims_of_slow_vaults(owner: str) -> QuerySet[Job]:
    """Return the running jobs of this worker whose vaults answer slowly or not at all."""
    host = owner.rpartition(":")[0]
    running = Job.objects.filter(state=JobState.RUNNING, lease_until__gte=now(), lease_owner__startswith=f"{host}:")
    return running.filter(is_slow())


def is_slow() -> Q:
    """Return the condition of a job whose vault answers slowly or not at all."""
    return Q(vault__circuit__slow_until__gt=now()) | Q(vault__circuit__failures__gt=0)


def _soon() -> datetime:
    return now() + timedelta(seconds=LOOK_AGAIN_SECONDS)
