"""The only writer of rotation slots: each due moment is taken once, and its outcome is recorded here.

Callers bring the transaction: the scan's, in which the job is made, and the one in which the job ends.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from keygroups.choices import SlotState
from keygroups.models import KeyGroup, RotationSlot


def open_slot(*, group: KeyGroup, due_at: datetime) -> RotationSlot:
    """Take a due moment.

    Raises:
        IntegrityError: another scan has taken it.

    """
    return RotationSlot.objects.create(group=group, due_at=due_at)


def record_missed(*, group: KeyGroup, due_at: datetime) -> None:
    """Record a due moment that was passed over for a newer one.

    Raises:
        IntegrityError: another scan has recorded it.

    """
    RotationSlot.objects.create(group=group, due_at=due_at, state=SlotState.MISSED)


def assign_job(slot: RotationSlot, *, job_id: UUID) -> None:
    """Record which job serves a due moment."""
    RotationSlot.objects.filter(pk=slot.pk).update(job_id=job_id)


def record_refused(slot: RotationSlot) -> None:
    """Record that no job could be made for a due moment."""
    RotationSlot.objects.filter(pk=slot.pk).update(state=SlotState.REFUSED)


def record_outcome(*, job_id: UUID, state: SlotState) -> None:
    """Record how the job of a due moment ended. A job that serves no due moment changes nothing."""
    RotationSlot.objects.filter(job_id=job_id).update(state=state)


def count_begun_since(moment: datetime) -> int:
    """Return how many due moments got a job after ``moment``."""
    return RotationSlot.objects.filter(created_at__gt=moment, job_id__isnull=False).count()
