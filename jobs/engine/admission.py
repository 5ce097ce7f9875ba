"""Whether a job may start on this worker: not while its vault is paused, nor beyond the share of slow services.

All slow vaults, sign-ins and Resource Managers together hold at most half of a worker's processes, counted by the
claims in the database. So at least one process stays free for the others.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from cloudcreds import circuits
from cloudcreds.models import KeyVault
from jobs.choices import JobState
from jobs.engine import lifecycle
from jobs.engine.interruptions import WaitUntil
from jobs.models import Job
from kmes.core.clock import now

# Seconds until a job looks again that found its vault's probe or its share taken.
LOOK_AGAIN_SECONDS = 5


class Pool:
    """The processes of this worker, set before they are forked; 0 outside of a worker."""

    processes = 0


def share() -> int:
    """Return how many of this worker's processes may work for what is slow; 0 for no limit."""
    return Pool.processes // 2


def may_start(job_id: UUID, *, owner: str) -> bool:
    """Return whether a queued job may start. If not, record on the job what it waits for, and until when.

    A job that is to be cancelled may: it does not wait for its vault.
    """
    waiting = Job.objects.filter(pk=job_id, state=JobState.QUEUED, cancel_requested_at=None)
    job = waiting.select_related("vault").first()
    if job is None:
        return True
    # A connection test is what shows that a paused vault answers again; a job on several groups goes on with the others.
    if job.vault is not None and job.group_id is not None and (paused := find_pause(job, job.vault)) is not None:
        lifecycle.record_wait(job_id, waiting_for=paused.what, run_after=now() + timedelta(seconds=paused.seconds))
        return False
    if share() and waiting.filter(is_slow()).exists() and claims_of_slow(owner).count() >= share():
        if job.vault is not None:
            reason = _("the vault “%(vault)s”, which answers slowly; other workers stay free") % {
                "vault": job.vault.name
            }
        else:
            reason = _("the cloud's sign-in or Resource Manager, which answers slowly; other workers stay free")
        lifecycle.record_wait(job_id, waiting_for=reason, run_after=now() + timedelta(seconds=LOOK_AGAIN_SECONDS))
        return False
    return True


def find_pause(job: Job, vault: KeyVault) -> WaitUntil | None:
    """Return what a job waits for whose vault is paused; None when it may reach the vault."""
    retry_at = circuits.find_pause(vault, job_id=job.pk)
    if retry_at is None:
        return None
    seconds = max((retry_at - now()).total_seconds(), LOOK_AGAIN_SECONDS)
    return WaitUntil(_("the vault “%(vault)s”, which does not answer") % {"vault": vault.name}, seconds=seconds)


def end_probe(job: Job) -> None:
    """Let another job try the vault, where this one tried it without a result."""
    if job.vault_id is not None:
        circuits.end_probe(job_id=job.pk)


def claims_of_slow(owner: str) -> QuerySet[Job]:
    """Return the running jobs of this worker that reach what answers slowly or not at all."""
    host = owner.rpartition(":")[0]
    running = Job.objects.filter(state=JobState.RUNNING, lease_until__gte=now(), lease_owner__startswith=f"{host}:")
    return running.filter(is_slow())


def is_slow() -> Q:
    """Return the condition of a job whose vault, or without one its sign-in, answers slowly or not at all."""
    vault = Q(vault__circuit__slow_until__gt=now()) | Q(vault__circuit__failures__gt=0)
    return vault | Q(vault__isnull=True, credential__slow_until__gt=now())


def are_others_waiting() -> bool:
    """Return whether jobs wait for nothing but a worker: those that reach what answers, and the cancelled ones."""
    waiting = Job.objects.filter(state=JobState.QUEUED, run_after__lte=now())
    # What a cancelled job waited for before counts no more: it only cleans up.
    is_cancelled = Q(cancel_requested_at__isnull=False)
    return waiting.filter(is_cancelled | (Q(waiting_for="") & ~is_slow())).exists()
