"""The only writer of a job's state: claim, renew, release, finish, cancel.

A claim is one conditional UPDATE that takes a lease and a fencing number. Every later write of that run carries
the number, so a worker that was presumed dead can change nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from jobs.choices import FINAL_STATES, SUCCEEDED_STATES, UNBEGUN_STATES, JobState
from jobs.models import Job
from keygroups import rotation_slots
from keygroups.choices import SlotState
from kmes.core.clock import now
from kmes.core.errors import KmesError

# What a job's end means for the due moment that it served.
_SLOT_STATES = {
    JobState.SUCCEEDED: SlotState.SUCCEEDED,
    JobState.WARNED: SlotState.SUCCEEDED,
    JobState.PARTLY_FAILED: SlotState.FAILED,
    JobState.FAILED: SlotState.FAILED,
    JobState.CANCELLED: SlotState.CANCELLED,
}


class LeaseLost(KmesError):
    """Another worker took the job over; this one must stop and write nothing more."""

    code = "lease_lost"


@dataclass(frozen=True)
class Claim:
    """The right to work on a job: its id and the fencing number of this run."""

    job_id: UUID
    fence: int
    owner: str


def _lease_end() -> datetime:
    return now() + timedelta(seconds=settings.KMES_LEASE_SECONDS)


def claim(job_id: UUID, *, owner: str) -> Claim | None:
    """Claim a job that is due, or whose lease has expired. Return None when it can't be claimed now.

    At most one job runs per Azure key, by a database constraint. A job whose key is held stays queued, and
    that is not counted as a failure.
    """
    moment = now()
    claimable = Q(state=JobState.QUEUED, run_after__lte=moment) | Q(state=JobState.RUNNING, lease_until__lt=moment)
    try:
        with transaction.atomic():
            won = Job.objects.filter(claimable, pk=job_id).update(
                state=JobState.RUNNING,
                fence=F("fence") + 1,
                lost_runs=F("lost_runs") + Case(When(state=JobState.RUNNING, then=1), default=0),
                lease_owner=owner,
                lease_until=_lease_end(),
                waiting_for="",
                started_at=Coalesce("started_at", Value(moment)),
            )
    except IntegrityError:
        Job.objects.filter(pk=job_id, state=JobState.QUEUED).update(waiting_for=_("another job on the same Azure key"))
        return None
    if not won:
        return None
    return Claim(job_id, Job.objects.values_list("fence", flat=True).get(pk=job_id), owner)


def hold(held: Claim, azure_lock: str, *, vault_id: UUID) -> bool:
    """Hold another Azure key, in this vault, instead of the one held so far.

    Returns False when another job holds it; then nothing changed.

    Raises:
        LeaseLost: the job was taken over or ended.

    """
    try:
        with transaction.atomic():
            kept = Job.objects.filter(_held(held)).update(azure_lock=azure_lock, vault=vault_id)
    except IntegrityError:
        return False
    if not kept:
        raise LeaseLost(_("The job was taken over by another worker."))
    return True


def _held(held: Claim) -> Q:
    return Q(pk=held.job_id, fence=held.fence, state=JobState.RUNNING)


def renew(held: Claim) -> None:
    """Extend the lease.

    Raises:
        LeaseLost: the job was taken over or ended.

    """
    if not Job.objects.filter(_held(held)).update(lease_until=_lease_end()):
        raise LeaseLost(_("The job was taken over by another worker."))


@contextmanager
def fenced(held: Claim) -> Iterator[None]:
    """Open a transaction that commits only while the claim holds. It renews the lease as well.

    That UPDATE comes first: it locks the row, so another worker's claim waits for this commit.

    Raises:
        LeaseLost: the job was taken over or ended; nothing is written.

    """
    with transaction.atomic():
        renew(held)
        yield


@contextmanager
def heartbeat(held: Claim) -> Iterator[None]:
    """Renew the lease from a thread of its own while the body runs.

    A renewal that fails is not reported here: the next fenced write fails and stops the run.
    """
    done = threading.Event()

    def beat() -> None:
        try:
            while not done.wait(settings.KMES_HEARTBEAT_SECONDS):
                renew(held)
        except KmesError:
            return
        finally:
            connection.close()

    thread = threading.Thread(target=beat, name=f"lease-{held.job_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def note_progress(held: Claim) -> None:
    """Reset the count of lost runs: this run has a result."""
    Job.objects.filter(_held(held)).update(lost_runs=0)


def finish(held: Claim, state: JobState, *, error: KmesError | None = None) -> None:
    """End a job, and record the outcome on the due moment that it served, within the transaction of ``fenced``.

    Raises:
        LeaseLost: another worker has it now.

    """
    if state not in FINAL_STATES:
        message = f"{state} does not end a job"
        raise ValueError(message)
    ended = Job.objects.filter(_held(held)).update(
        state=state,
        finished_at=now(),
        lease_owner="",
        lease_until=None,
        waiting_for="",
        error_what=error.what if error else "",
        error_remedy=error.remedy if error else "",
        error_code=error.code if error else "",
    )
    if not ended:
        raise LeaseLost(_("The job was taken over by another worker."))
    served = _SLOT_STATES[state]
    if served == SlotState.FAILED and Job.objects.filter(pk=held.job_id, cancel_requested_at__isnull=False).exists():
        # Who cancels a due rotation gives it up, also where the job failed before it could stop.
        served = SlotState.CANCELLED
    rotation_slots.record_outcome(job_id=held.job_id, state=served, why=str(error or ""))


def add_warning(job_id: UUID, error: KmesError) -> None:
    """Make a job that has succeeded one that succeeded with a warning, within the transaction that finished it."""
    Job.objects.filter(pk=job_id, state__in=SUCCEEDED_STATES).update(
        state=JobState.WARNED, error_what=error.what, error_remedy=error.remedy, error_code=error.code
    )


def release(held: Claim, *, run_after: datetime, waiting_for: str, count_failure: bool = False) -> None:
    """Return a running job to the queue until ``run_after``, and record what it waits for.

    Raises:
        LeaseLost: another worker has it now.

    """
    released = Job.objects.filter(_held(held)).update(
        state=JobState.QUEUED,
        lease_owner="",
        lease_until=None,
        run_after=run_after,
        waiting_for=waiting_for[:200],
        failures=F("failures") + (1 if count_failure else 0),
        lost_runs=0,
        # A job on several key groups begins with whichever is free at its next run.
        azure_lock=Case(When(group__isnull=True, then=Value("")), default=F("azure_lock")),
    )
    if not released:
        raise LeaseLost(_("The job was taken over by another worker."))


def record_wait(job_id: UUID, *, waiting_for: str, run_after: datetime | None = None) -> None:
    """Record what a queued job waits for, and until when, without claiming it. Others stay as they are."""
    changed: dict[str, object] = {"waiting_for": waiting_for[:200]}
    if run_after is not None:
        changed["run_after"] = run_after
    Job.objects.filter(pk=job_id, state=JobState.QUEUED).update(**changed)


def wake(*, vault_id: UUID, waiting_until: datetime) -> UUID | None:
    """Make the queued jobs due that wait for a vault until this moment. Return the one that is due first."""
    queued = Job.objects.filter(vault_id=vault_id, state=JobState.QUEUED)
    # A job that counted the seconds until then is due some moments later.
    queued.filter(run_after__gte=waiting_until, run_after__lt=waiting_until + timedelta(seconds=1)).update(
        run_after=now()
    )
    due = queued.filter(run_after__lte=now()).order_by("run_after")
    return due.values_list("pk", flat=True).first()


def wake_job(job: Job) -> None:
    """Make a queued job due now."""
    Job.objects.filter(pk=job.pk, state=JobState.QUEUED).update(run_after=now())


def recheck_waiting() -> None:
    """Make jobs and leases due again that wait for a time of a clock that has been set back.

    Each job checks by itself whether its wait is over. A worker that is alive renews its lease before it ends.
    """
    Job.objects.filter(state=JobState.QUEUED, run_after__gt=now()).update(run_after=now())
    Job.objects.filter(state=JobState.RUNNING, lease_until__gt=_lease_end()).update(lease_until=_lease_end())


def next_in_line(azure_lock: str) -> UUID | None:
    """Return the oldest queued job that waits for an Azure key that is free now."""
    if not azure_lock:
        return None
    waiting = Job.objects.filter(azure_lock=azure_lock, state=JobState.QUEUED, run_after__lte=now())
    return waiting.order_by("run_after").values_list("pk", flat=True).first()


def hold_for_approval(job: Job) -> None:
    """Let a job that is about to be created wait for approvals."""
    job.state = JobState.AWAITING


def queue_approved(job: Job) -> bool:
    """Put a job that has its approvals into the queue. Return whether it still waited for them."""
    return bool(Job.objects.filter(pk=job.pk, state=JobState.AWAITING).update(state=JobState.QUEUED, run_after=now()))


def end_awaiting(job: Job, *, error: KmesError) -> bool:
    """Cancel a job that was refused, or that nobody approved in time. Return whether it still waited for approvals."""
    return bool(
        Job.objects.filter(pk=job.pk, state=JobState.AWAITING).update(
            state=JobState.CANCELLED,
            finished_at=now(),
            error_what=error.what,
            error_remedy=error.remedy,
            error_code=error.code,
        )
    )


def end_applied(job: Job) -> bool:
    """End a job that its requester applied, within that transaction. Return whether it still waited."""
    waiting = Job.objects.filter(pk=job.pk, state=JobState.AWAITING)
    return bool(waiting.update(state=JobState.SUCCEEDED, finished_at=now()))


def cancel_queued(job: Job, *, by: str) -> bool:
    """Cancel a job that no worker has begun. Return whether it was so. Writes two rows: needs a transaction."""
    moment = now()
    cancelled = Job.objects.filter(pk=job.pk, state__in=UNBEGUN_STATES, started_at__isnull=True).update(
        state=JobState.CANCELLED, cancel_requested_at=moment, cancel_requested_by=by, finished_at=moment
    )
    if cancelled:
        rotation_slots.record_outcome(job_id=job.pk, state=SlotState.CANCELLED)
    return bool(cancelled)


def request_cancel(job: Job, *, by: str) -> bool:
    """Request that the worker stops at the next safe point. Return whether the job was still open.

    A job in the queue becomes due at once, so that it cleans up without delay.
    """
    moment = now()
    asked = Job.objects.filter(pk=job.pk, state__in=[JobState.QUEUED, JobState.RUNNING]).update(
        cancel_requested_at=moment, cancel_requested_by=by
    )
    Job.objects.filter(pk=job.pk, state=JobState.QUEUED).update(run_after=moment)
    return bool(asked)
