"""Which of the waiting jobs goes first: those to be canceled, then those requested by people, then the schedule's.

A hint names one job, but its receiver asks here first, so the order does not depend on the order of hints.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from jobs.choices import JobState
from jobs.engine import admission
from jobs.models import Job
from kmes.core.actor import PEOPLE
from kmes.core.clock import now

_IS_PERSONS = Q(trigger__in=PEOPLE)
_IS_CANCELLED = Q(cancel_requested_at__isnull=False)
# A job that was refused a claim waits for something else than a worker.
_WAITS_FOR_WORKER = Q(waiting_for="")


def in_order(job_id: UUID) -> Iterator[UUID]:
    """Yield the waiting jobs that go before this one, each once, and then this one."""
    hinted = Job.objects.filter(pk=job_id)
    trigger = hinted.values_list("trigger", flat=True).first() or ""
    before = find_before(trigger, is_slow=hinted.filter(admission.is_slow()).exists())
    seen = {job_id}
    while (found := before.exclude(pk__in=seen).values_list("pk", flat=True).first()) is not None:
        seen.add(found)
        yield found
    yield job_id


def find_before(trigger: str, *, is_slow: bool = False) -> QuerySet[Job]:
    """Return the waiting jobs that go before a job with this trigger; ``is_slow``: its vault answers slowly."""
    persons = _IS_PERSONS & _WAITS_FOR_WORKER
    if is_slow:
        return ranked(_due().filter(_IS_CANCELLED | (persons & ~admission.is_slow())))
    return ranked(_due().filter(_IS_CANCELLED if trigger in PEOPLE else _IS_CANCELLED | persons))


def find_waiting() -> QuerySet[Job]:
    """Return the jobs that are due and wait for nothing but a worker."""
    return _due().filter(_WAITS_FOR_WORKER)


def ranked(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Order jobs: those to be cancelled, requested by people, the schedule's; within each the one due first."""
    rank = Case(
        When(_IS_CANCELLED, then=Value(0)),
        When(_IS_PERSONS, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return jobs.order_by(rank, "run_after")


def _due() -> QuerySet[Job]:
    return Job.objects.filter(state=JobState.QUEUED, run_after__lte=now())
