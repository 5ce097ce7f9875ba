"""Makes the jobs of rotations that are due, and lets a person try one at once or give it up.

A due moment stays due until a rotation succeeds or a person gives it up; ``keygroups.rotation_slots`` keeps when it
was tried and when it is tried again.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from jobs.choices import OPEN_STATES, RETRYABLE_STATES
from jobs.engine.authenticity import is_genuine
from jobs.kinds.rotate.spec import KIND, request_rotation
from jobs.models import Job
from keygroups import lifecycle as key_lifecycle
from keygroups import rotation_slots
from keygroups.models import KeyGroup, RotationSlot
from keygroups.rotation_schedule import due_slots, next_due
from keygroups.services import subject_of
from kmes.accounts.rights import Right, check
from kmes.core.actor import SCHEDULE, Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, KmesError
from logging_reports.services import record


def serve(group: KeyGroup, *, actor: Actor = SCHEDULE) -> UUID | None:
    """Make the job of a group's due moment: of the newest one, or of the one that was tried without success.

    Returns None when another scan was first, or when the job can't be made now.
    """
    seen = group.next_due_at
    if seen is None:
        return None
    try:
        # One transaction: a crash must not leave a due moment that is taken and has no job.
        with transaction.atomic():
            if not key_lifecycle.advance_schedule(group=group, seen_due_at=seen, new_due_at=_following(group, seen)):
                return None
            slot = _take(group, seen)
            return _request(group, slot, actor) if slot is not None else None
    except IntegrityError:
        # Another scan made the slot; the schedule was moved on by it.
        key_lifecycle.advance_schedule(group=group, seen_due_at=seen, new_due_at=_following(group, seen))
        return None


def try_now(*, group: KeyGroup, actor: Actor) -> Job | None:
    """Try a due rotation without waiting for the end of its pause. Return its job, None when none could be made.

    Raises:
        PermissionRefused: the actor may not rotate keys.
        ConflictError: nothing is due, or a job rotates the group.

    """
    check(actor, Right.KEY_ROTATE, group)
    with transaction.atomic():
        due, due_at = _lock_due(group)
        slot = rotation_slots.current_slot(due)
        if slot is not None:
            rotation_slots.try_at_once(slot)
        record(
            "schedule.rotation_tried",
            actor=actor,
            message=f"Rotation of {due}, due at {due_at:%Y-%m-%d %H:%M:%S}, is tried at once",
            subject=subject_of(due),
        )
    made = serve(due, actor=actor)
    return Job.objects.get(pk=made) if made else None


def stop(*, group: KeyGroup, actor: Actor) -> None:
    """Give a due rotation up. The next one falls due at the group's next due moment.

    Raises:
        PermissionRefused: the actor may not rotate keys.
        ConflictError: nothing is due, or a job rotates the group.

    """
    check(actor, Right.KEY_ROTATE, group)
    with transaction.atomic():
        due, given_up = _lock_due(group)
        following = _following(due, given_up)
        rotation_slots.give_up(group=due, due_at=given_up)
        key_lifecycle.advance_schedule(group=due, seen_due_at=given_up, new_due_at=following)
        record(
            "schedule.rotation_stopped",
            actor=actor,
            message=(
                f"Rotation of {due}, due at {given_up:%Y-%m-%d %H:%M:%S}, is given up; "
                f"the next one is due at {following:%Y-%m-%d %H:%M:%S}"
            ),
            subject=subject_of(due),
        )


def _lock_due(group: KeyGroup) -> tuple[KeyGroup, datetime]:
    busy = Job.objects.filter(group=group, kind=KIND, state__in=OPEN_STATES).first()
    if busy is not None:
        raise ConflictError(
            _("Job %(job)s is rotating this key group.") % {"job": busy}, _("Cancel that job to stop it.")
        )
    locked = KeyGroup.objects.select_for_update(of=("self",)).select_related("vault", "credential").get(pk=group.pk)
    if not locked.rotate or locked.next_due_at is None or locked.next_due_at > now():
        raise ConflictError(_("No rotation of this key group is due."), _("Reload the page."))
    return locked, locked.next_due_at


def _following(group: KeyGroup, seen: datetime) -> datetime:
    anchor = group.rotation_anchor_at or seen
    return next_due(anchor, group.rotate_every, group.rotate_unit, after=now())


def _take(group: KeyGroup, seen: datetime) -> RotationSlot | None:
    """Take the due moment for an attempt; None when it was served, or is tried again later."""
    slot = RotationSlot.objects.filter(group=group, due_at=seen).first()
    if slot is None:
        anchor = group.rotation_anchor_at or seen
        newest = max(due_slots(anchor, group.rotate_every, group.rotate_unit, seen, now()), default=seen)
        if newest != seen:
            rotation_slots.record_missed(group=group, due_at=seen)
        return rotation_slots.open_slot(group=group, due_at=newest)
    if slot.state in rotation_slots.UNSUCCESSFUL_STATES:
        if rotation_slots.begin_attempt(slot):
            slot.refresh_from_db()
            return slot
        # Another scan tried it since this one looked: it stays due.
        transaction.set_rollback(True)
    return None


def _request(group: KeyGroup, slot: RotationSlot, actor: Actor) -> UUID | None:
    former = Job.objects.filter(pk=slot.job_id, state__in=RETRYABLE_STATES).first() if slot.job_id else None
    if former is not None and not is_genuine(former):
        # Its row says which key to go on with, and can't be believed: a new one is made.
        former = None
    key = f"rotate:{group.pk}:{slot.due_at.isoformat()}" + (f":{slot.attempts}" if slot.attempts > 1 else "")
    try:
        with transaction.atomic():
            # A key that an earlier attempt made is pushed, instead of another one.
            job = request_rotation(group=group, actor=actor, idempotency_key=key, retry_of=former)
            rotation_slots.assign_job(slot, job_id=job.pk)
            record(
                "azure.rotation_due",
                actor=actor,
                message=f"Rotation of {group} was due at {slot.due_at:%Y-%m-%d %H:%M:%S}, attempt {slot.attempts}",
                subject=subject_of(group),
                job_id=job.pk,
                job_code=job.code,
            )
    except KmesError as error:
        rotation_slots.record_refused(slot, why=str(error))
        record("azure.rotation_failed", actor=actor, message=str(error), subject=subject_of(group))
        return None
    return job.pk
