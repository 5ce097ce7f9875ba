"""Moves the due rotations of many key groups to another day, in one transaction. No job and no key is touched.

The schedule of a group that was moved goes on from its new day: the period after it counts from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from keygroups import lifecycle
from keygroups.choices import GroupCloudState, SlotState, VersionState
from keygroups.models import CloudVersion, KeyGroup, RotationSlot
from keygroups.rotation_schedule import anchor_before
from keygroups.scope_marks import find_outside, why_outside
from keygroups.services import subject_of
from kmes.accounts.rights import Right, check_somewhere
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import InputError
from logging_reports.services import record

# Further ahead nobody remembers what was moved; a longer period is set by Edit Rotation.
MOST_DAYS_AHEAD = 366


@dataclass(frozen=True)
class Move:
    """One group and what stands against moving its due rotation; "" when nothing does."""

    group: KeyGroup
    reason: str


def earliest_day() -> date:
    """Return the first day to which a rotation can be moved, in UTC. On this one it can be forced instead."""
    return now().date() + timedelta(days=1)


def latest_day() -> date:
    """Return the last day to which a rotation can be moved, in UTC."""
    return now().date() + timedelta(days=MOST_DAYS_AHEAD)


def check_day(day: date) -> None:
    """Raise unless rotations can be moved to a day.

    Raises:
        InputError: it is too early or too late (field "day").

    """
    if not earliest_day() <= day <= latest_day():
        raise InputError(
            _("Choose a day from %(first)s to %(last)s.")
            % {"first": earliest_day().isoformat(), "last": latest_day().isoformat()},
            _("To rotate keys today, use Force Rotation."),
            field="day",
        )


def plan_moves(groups: Sequence[KeyGroup], day: date | None) -> list[Move]:
    """Return for each group why its due rotation can't be moved, to ``day`` if one is chosen. Two queries."""
    ids = [group.pk for group in groups]
    under_way = RotationSlot.objects.filter(group__in=ids, state=SlotState.PENDING, job_id__isnull=False)
    busy = set(under_way.values_list("group", flat=True))
    active = CloudVersion.objects.filter(group__in=ids, state=VersionState.ACTIVE, expires_at__isnull=False)
    expiries = {group_id: at for group_id, at in active.values_list("group", "expires_at") if at is not None}
    return [
        Move(group, why_outside(group) or _why_not_move(group, busy) or _why_not_to(group, day, expiries))
        for group in groups
    ]


def move_due(*, groups: Sequence[KeyGroup], day: date, actor: Actor) -> list[Move]:
    """Move the due rotations of groups to a day, each keeping its time; return all groups with why one was left out.

    Raises:
        PermissionRefused: the actor may manage no group at all; those outside of a scope are left out.
        InputError: the day is too early or too late (field "day").

    """
    check_somewhere(actor, Right.GROUP_MANAGE)
    check_day(day)
    with transaction.atomic():
        rows = KeyGroup.objects.select_for_update(of=("self",)).select_related("credential", "vault").order_by("name")
        found = list(rows.filter(pk__in=[group.pk for group in groups]))
        outside = find_outside(actor, Right.GROUP_MANAGE, found)
        moves = [replace(move, reason=outside.get(move.group.pk) or move.reason) for move in plan_moves(found, day)]
        moved = [move.group for move in moves if not move.reason]
        for group in moved:
            before, due = group.next_due_at, moved_to(group, day)
            anchor = anchor_before(due, group.rotate_every, group.rotate_unit)
            lifecycle.schedule_rotation(group=group, anchor_at=anchor, after=due - timedelta(microseconds=1))
            record(
                "group.rotation_moved",
                actor=actor,
                message=f"Due rotation of key group {group.name} moved from {before:%Y-%m-%d} to {due:%Y-%m-%d}",
                subject=subject_of(group),
                data={"changed": {"next_due_at": [f"{before:%Y-%m-%d %H:%M:%S}", f"{due:%Y-%m-%d %H:%M:%S}"]}},
            )
        if moved:
            record(
                "groups.rotation_moved",
                actor=actor,
                message=f"Due rotations of {len(moved)} key group(s) moved to {day:%Y-%m-%d}",
            )
    return moves


def moved_to(group: KeyGroup, day: date) -> datetime:
    """Return the moment of the group's next rotation on another day."""
    assert group.next_due_at is not None
    return datetime.combine(day, group.next_due_at.timetz())


def _why_not_move(group: KeyGroup, busy: set[UUID]) -> str:
    if not group.rotate or group.next_due_at is None:
        return _("Rotate Key is off")
    if group.cloud_state == GroupCloudState.SOFT_DELETED:
        return _("Deleted in the vault: recover or purge it first")
    if group.pk in busy:
        return _("A job is rotating it")
    if group.next_due_at <= now():
        return _("Due already: it is being tried until it succeeds or is stopped")
    return ""


def _why_not_to(group: KeyGroup, day: date | None, expiries: dict[UUID, datetime]) -> str:
    due = group.next_due_at
    if day is None or due is None:
        return ""
    if due.date() == day:
        return _("Due on that day already")
    expires = expiries.get(group.pk)
    if expires is not None and due < expires <= moved_to(group, day):
        return _("Its active version expires before, on %(day)s") % {"day": expires.date().isoformat()}
    return ""
