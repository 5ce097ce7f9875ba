"""How well key groups keep their rotation policies: the one definition of late, failed and due soon.

Conditions and annotations for queries only. Lists, the report, the home page, reminders and metrics read them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When

from keygroups.choices import GroupCloudState, RotationStanding, SlotState
from keygroups.models import KeyGroup, RotationSlot
from kmes.core.clock import now

# The scan looks once a minute and a rotation takes seconds; what is still open after this is late.
LATE_AFTER = timedelta(minutes=15)
DUE_SOON = timedelta(days=7)


def is_late() -> Q:
    """Return the condition of a group that rotates and let a due moment pass without a success.

    A group whose Azure key is deleted can't rotate and is never late.
    Either no scan has seen the due moment, or it was served and no rotation has succeeded since.
    ``last_rotated_at`` is set on success only. A failed rotation is late, too.
    """
    deadline = now() - LATE_AFTER
    # Not by a join to the group: the index of the slots then begins where the last success ends.
    due = RotationSlot.objects.filter(group=OuterRef("pk"), due_at__lte=deadline)
    was_never_served = Q(last_rotated_at__isnull=True) & Q(Exists(due))
    is_unserved = was_never_served | Q(Exists(due.filter(due_at__gt=OuterRef("last_rotated_at"))))
    can_rotate = Q(rotate=True) & ~Q(cloud_state=GroupCloudState.SOFT_DELETED)
    return can_rotate & (Q(next_due_at__lt=deadline) | is_unserved)


def is_due_soon() -> Q:
    """Return the condition of a group whose rotation falls due within seven days; a deleted Azure key can't rotate."""
    moment = now()
    is_soon = Q(rotate=True, next_due_at__gte=moment, next_due_at__lte=moment + DUE_SOON)
    return is_soon & ~Q(cloud_state=GroupCloudState.SOFT_DELETED)


def with_standing(groups: QuerySet[KeyGroup]) -> QuerySet[Any, Any]:
    """Annotate the groups with ``standing`` (a ``RotationStanding``) and ``last_due_at``.

    Failed: the newest due moment's job failed or could not be made, and no rotation has succeeded since.
    A group without a key in the vault is on time by no merit of its own, so that is a standing apart.
    """
    newest = RotationSlot.objects.filter(group=OuterRef("pk")).order_by("-due_at")
    failed = Q(last_slot_state__in=[SlotState.FAILED, SlotState.REFUSED])
    not_since = Q(last_rotated_at__isnull=True) | Q(last_rotated_at__lt=F("last_due_at"))
    return groups.annotate(
        last_due_at=Subquery(newest.values("due_at")[:1]),
        last_slot_state=Subquery(newest.values("state")[:1]),
        standing=Case(
            When(rotate=False, then=Value(RotationStanding.OFF)),
            When(cloud_state=GroupCloudState.SOFT_DELETED, then=Value(RotationStanding.DELETED)),
            When(failed & not_since, then=Value(RotationStanding.FAILED)),
            When(is_late(), then=Value(RotationStanding.LATE)),
            When(~Q(cloud_state=GroupCloudState.LIVE), then=Value(RotationStanding.NOT_IN_VAULT)),
            default=Value(RotationStanding.ON_TIME),
            output_field=CharField(),
        ),
    )
