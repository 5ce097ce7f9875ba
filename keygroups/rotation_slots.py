"""The only writer of rotation slots: each due moment is taken once, and its attempts and outcome are recorded here.

A due moment stays due until a rotation succeeds or a person gives it up: after an attempt that failed it is put back
into its group's schedule. Callers bring the transaction: the scan's, in which the job is made, and the one in which
the job ends.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q

from keygroups import lifecycle
from keygroups.choices import SlotState
from keygroups.models import KeyGroup, RotationSlot
from kmes.core.clock import now

# Pauses after the first attempts that failed, in minutes; the last one repeats.
PAUSES = (1, 5, 15, 60)
UNSUCCESSFUL_STATES = (SlotState.FAILED, SlotState.REFUSED)


def open_slot(*, group: KeyGroup, due_at: datetime) -> RotationSlot:
    """Take a due moment, for its first attempt.

    Raises:
        IntegrityError: another scan has taken it.

    """
    return RotationSlot.objects.create(group=group, due_at=due_at, tried_at=now())


def begin_attempt(slot: RotationSlot) -> bool:
    """Begin another attempt, if the pause after the last one is over. Return whether it is."""
    ready = RotationSlot.objects.filter(pk=slot.pk, state__in=UNSUCCESSFUL_STATES, next_try_at__lte=now())
    return bool(ready.update(state=SlotState.PENDING, attempts=F("attempts") + 1, tried_at=now(), next_try_at=None))


def record_missed(*, group: KeyGroup, due_at: datetime) -> None:
    """Record a due moment that was passed over for a newer one.

    Raises:
        IntegrityError: another scan has recorded it.

    """
    RotationSlot.objects.create(group=group, due_at=due_at, state=SlotState.MISSED, attempts=0)


def assign_job(slot: RotationSlot, *, job_id: UUID) -> None:
    """Record which job serves a due moment."""
    RotationSlot.objects.filter(pk=slot.pk).update(job_id=job_id)


def record_refused(slot: RotationSlot, *, why: str) -> None:
    """Record that no job could be made for an attempt. The due moment stays due."""
    # A slot tells how its last job ended, if it has one.
    _keep_due(slot, SlotState.FAILED if slot.job_id else SlotState.REFUSED, why)


def record_outcome(*, job_id: UUID, state: SlotState, why: str = "") -> None:
    """Record how the job of a due moment ended; after a failure it stays due.

    A job that serves no due moment changes nothing.
    """
    slot = RotationSlot.objects.filter(job_id=job_id).first()
    if slot is None:
        return
    if state in UNSUCCESSFUL_STATES:
        _keep_due(slot, state, why)
    else:
        RotationSlot.objects.filter(pk=slot.pk).update(state=state, next_try_at=None)


def try_at_once(slot: RotationSlot) -> None:
    """End the pause before the next attempt."""
    RotationSlot.objects.filter(pk=slot.pk, state__in=UNSUCCESSFUL_STATES).update(next_try_at=now())


def give_up(*, group: KeyGroup, due_at: datetime) -> None:
    """Record that a person gave a due moment up."""
    given_up = {"state": SlotState.CANCELLED, "next_try_at": None}
    slot, is_new = RotationSlot.objects.get_or_create(group=group, due_at=due_at, defaults={**given_up, "attempts": 0})
    if not is_new:
        # Not update_or_create, which writes every time of the row: web may not move a due moment.
        RotationSlot.objects.filter(pk=slot.pk).update(**given_up)


def current_slot(group: KeyGroup) -> RotationSlot | None:
    """Return the slot of a due moment that is being served or will be tried again; None when there is none.

    Without a query for a group from ``selectors.list_groups`` that has none.
    """
    if not group.rotate or getattr(group, "has_slot", True) is False:
        return None
    slot = group.rotation_slots.order_by("-due_at").first()
    if slot is None:
        return None
    is_served = slot.state == SlotState.PENDING and slot.job_id is not None
    return slot if is_served or slot.due_at == group.next_due_at else None


def find_served(job_id: UUID) -> RotationSlot | None:
    """Return the due moment that a job serves, with its group; None when it serves none."""
    return RotationSlot.objects.filter(job_id=job_id, state=SlotState.PENDING).select_related("group").first()


def is_paused() -> Q:
    """Return the condition of a group whose due moment was tried and is not to be tried again yet."""
    slots = RotationSlot.objects.filter(group=OuterRef("pk"), due_at=OuterRef("next_due_at"))
    return Q(Exists(slots.filter(next_try_at__gt=now())))


def count_begun_since(moment: datetime) -> int:
    """Return how many attempts that got a job began after ``moment``."""
    # A first attempt begins with its row.
    begun = Q(created_at__gt=moment) | Q(tried_at__gt=moment, attempts__gt=1)
    return RotationSlot.objects.filter(begun, job_id__isnull=False).count()


def _keep_due(slot: RotationSlot, state: SlotState, why: str) -> None:
    pause = timedelta(minutes=PAUSES[min(slot.attempts, len(PAUSES)) - 1])
    RotationSlot.objects.filter(pk=slot.pk).update(state=state, next_try_at=now() + pause, last_error=why)
    group = KeyGroup.objects.get(pk=slot.group_id)
    # A schedule that began anew since, by a change of its policy or a forced rotation, counts from there.
    began_anew = group.rotation_anchor_at is not None and group.rotation_anchor_at >= slot.due_at
    if group.next_due_at is not None and group.next_due_at > slot.due_at and not began_anew:
        lifecycle.advance_schedule(group=group, seen_due_at=group.next_due_at, new_due_at=slot.due_at)
