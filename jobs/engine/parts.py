"""The parts of a job on many key groups: ordinary jobs that it opened, one per group.

The job holds no worker while they run. A part that ends makes it due again (docs/decisions/0027-parts-are-jobs.md).
"""

from __future__ import annotations

from functools import partial

from django.db import transaction
from django.db.models import QuerySet

from jobs.choices import FINAL_STATES, OPEN_STATES
from jobs.engine import hints, lifecycle
from jobs.models import Job

# Parts that are open at a time, so that other jobs find a worker between them.
WINDOW = 16
# Of which as many are left when the job opens further ones.
REFILL_AT = WINDOW // 2
# Seconds until the job looks by itself, where no part could wake it.
LOOK_SECONDS = 30


def open_parts(whole: Job) -> QuerySet[Job]:
    """Return the parts that have not ended."""
    return Job.objects.filter(part_of=whole, state__in=OPEN_STATES)


def report_end(part: Job) -> None:
    """Wake the whole job of a part that has ended, once it has something to do. Belongs behind the commit."""
    if part.part_of_id is None or not Job.objects.filter(pk=part.pk, state__in=FINAL_STATES).exists():
        return
    if Job.objects.filter(part_of=part.part_of_id, state__in=OPEN_STATES).count() <= REFILL_AT:
        _wake(Job.objects.get(pk=part.part_of_id))


def report_end_on_commit(part: Job) -> None:
    """Do so when the transaction that ends the part has committed."""
    if part.part_of_id is not None:
        transaction.on_commit(partial(report_end, part), robust=True)


def wake_if_fewer_open(whole: Job, *, than: int) -> None:
    """Wake a job that has just returned to the queue, where parts ended since it counted them."""
    if open_parts(whole).count() < than:
        _wake(whole)


def _wake(whole: Job) -> None:
    lifecycle.wake_job(whole)
    hints.send(whole.pk)
