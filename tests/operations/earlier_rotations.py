"""Rotation slots as releases up to 0.1.0 wrote them, each with its job: ``python -m tests.operations.earlier_rotations ACT``.

Frozen, like ``previous_release``, whose database these rows are added to.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import django

django.setup()

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from keygroups.models import RotationSlot
from tests.operations.previous_release import AT, LEAVES

# State of the job, or None without one; why the moment was passed over; what the slot says now.
CASES = (
    ("succeeded", "", "succeeded"),
    ("failed", "", "failed"),
    ("partly_failed", "", "failed"),
    ("cancelled", "", "cancelled"),
    ("running", "", "pending"),
    ("queued", "", "pending"),
    (None, "", "pending"),
    (None, "missed", "missed"),
    (None, "refused", "refused"),
)


def _due_at(number: int):
    return AT + timedelta(days=1 + number)


def add() -> None:
    """Add a slot of each kind to the first group."""
    apps = MigrationExecutor(connection).loader.project_state(LEAVES).apps
    jobs, slots = apps.get_model("jobs", "Job").objects, apps.get_model("jobs", "RotationSlot").objects
    group = apps.get_model("keygroups", "KeyGroup").objects.get(name="group-0")
    for number, (state, skipped, _now) in enumerate(CASES):
        job = state and jobs.create(
            code=f"ROT{number}",
            kind="rotate",
            state=state,
            group=group,
            actor_name="schedule",
            trigger="schedule",
            run_after=AT,
        )
        slots.create(group=group, due_at=_due_at(number), job=job, skipped=skipped)


def check() -> None:
    """Read them by the present model; any difference ends it."""
    for number, (state, _skipped, wanted) in enumerate(CASES):
        slot = RotationSlot.objects.get(group__name="group-0", due_at=_due_at(number))
        assert (slot.state, slot.job_id is None) == (wanted, state is None), (CASES[number], slot.state)
    with connection.cursor() as cursor:
        assert set(connection.introspection.get_relations(cursor, RotationSlot._meta.db_table)) == {"group_id"}
    print("as they were")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
