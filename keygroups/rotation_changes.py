"""Changes the rotation of many key groups in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import F

from keygroups import fields, lifecycle
from keygroups.models import KeyGroup
from keygroups.services import recorded_rotation, subject_of
from kmes.accounts.rights import Right, check_each
from kmes.core.actor import Actor
from kmes.core.clock import now
from logging_reports.services import record


def change_rotation(*, groups: Sequence[KeyGroup], every: int | None, unit: str, actor: Actor) -> int:
    """Set how often many groups rotate, None for never; return how many changed. A changed period counts from now.

    Groups that no longer rotate keep their period, for whoever switches Rotate Key on again.

    Raises:
        PermissionRefused: the actor may not manage groups.
        InputError: the period can't be used (field "rotate_every").

    """
    check_each(actor, Right.GROUP_MANAGE, groups)
    wanted: dict[str, Any] = {"rotate": False}
    if every is not None:
        fields.clean_period(every, unit, field="rotate_every")
        wanted = {"rotate": True, "rotate_every": every, "rotate_unit": unit}
    moment = now()
    with transaction.atomic():
        rows = KeyGroup.objects.select_for_update(of=("self",)).select_related("credential", "vault").order_by("name")
        found = list(rows.filter(pk__in=[group.pk for group in groups]))
        check_each(actor, Right.GROUP_MANAGE, found)
        changed = [group for group in found if any(getattr(group, name) != value for name, value in wanted.items())]
        KeyGroup.objects.filter(pk__in=[group.pk for group in changed]).update(
            **wanted, updated_at=moment, lock_version=F("lock_version") + 1
        )
        for group in changed:
            before = recorded_rotation(group)
            for name, value in wanted.items():
                setattr(group, name, value)
            lifecycle.schedule_rotation(group=group, anchor_at=moment)
            record(
                "group.updated",
                actor=actor,
                message=f"Key group {group.name} updated",
                subject=subject_of(group),
                data={"changed": {"rotation": [before, recorded_rotation(group)]}},
            )
        if changed:
            record(
                "groups.rotation_changed",
                actor=actor,
                message=f"Rotation of {len(changed)} key group(s) changed to: {recorded_rotation(changed[0])}",
            )
    return len(changed)
