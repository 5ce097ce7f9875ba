"""How a group keeps its rotation policy, as lists, report and home page count it alike."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from keygroups.choices import RotationStanding, SlotState
from keygroups.models import KeyGroup, RotationSlot
from keygroups.rotation_slots import record_outcome
from keygroups.rotation_standing import LATE_AFTER, is_due_soon, is_late, with_standing
from keygroups.selectors import list_groups
from kmes.core.clock import now
from kmes.dashboard.selectors import count_rotations
from tests.keygroups.builders import make_group

pytestmark = pytest.mark.django_db
OVERDUE = LATE_AFTER + timedelta(minutes=1)


@pytest.fixture
def group(vault):
    """A group whose key the vault holds."""
    return make_group(vault, "payments", cloud_state="live")


def add_slot(group, *, ago=OVERDUE, state=SlotState.PENDING):
    return RotationSlot.objects.create(group=group, due_at=now() - ago, job_id=uuid4(), state=state)


def standing(group):
    return with_standing(KeyGroup.objects.filter(pk=group.pk)).get().standing


def seen_as_late(group) -> set[bool]:
    """What each reader says; one element when they agree."""
    return {
        KeyGroup.objects.filter(is_late(), pk=group.pk).exists(),
        list_groups(show="late").filter(pk=group.pk).exists(),
        count_rotations().late == 1,
    }


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (SlotState.PENDING, RotationStanding.LATE),
        (SlotState.SUCCEEDED, RotationStanding.LATE),
        (SlotState.CANCELLED, RotationStanding.LATE),
        (SlotState.MISSED, RotationStanding.LATE),
        (SlotState.FAILED, RotationStanding.FAILED),
        (SlotState.REFUSED, RotationStanding.FAILED),
    ],
)
def test_a_due_moment_without_a_success_is_late_for_everybody_until_one_follows(group, state, wanted):
    add_slot(group, state=state)
    assert standing(group) == wanted
    assert seen_as_late(group) == {True}
    KeyGroup.objects.update(last_rotated_at=now())
    assert standing(group) == RotationStanding.ON_TIME
    assert seen_as_late(group) == {False}
    KeyGroup.objects.update(last_rotated_at=None, rotate=False)
    assert standing(group) == RotationStanding.OFF
    assert seen_as_late(group) == {False}


def test_a_rotation_has_some_minutes_before_it_is_late(group):
    add_slot(group, ago=LATE_AFTER - timedelta(minutes=1))
    KeyGroup.objects.update(next_due_at=now() - LATE_AFTER + timedelta(minutes=1))
    assert standing(group) == RotationStanding.ON_TIME
    assert seen_as_late(group) == {False}


def test_only_the_newest_due_moment_tells_of_a_failure(group):
    add_slot(group, ago=2 * OVERDUE, state=SlotState.FAILED)
    add_slot(group, ago=OVERDUE)
    assert standing(group) == RotationStanding.LATE


def test_due_soon_means_within_seven_days(group):
    for days, wanted in [(-1, False), (1, True), (6, True), (8, False)]:
        KeyGroup.objects.update(next_due_at=now() + timedelta(days=days))
        assert KeyGroup.objects.filter(is_due_soon()).exists() is wanted
        assert count_rotations().soon == int(wanted)


def test_an_outcome_belongs_to_the_due_moment_of_its_job_alone(group):
    mine, other = add_slot(group), add_slot(group, ago=2 * OVERDUE)
    record_outcome(job_id=mine.job_id, state=SlotState.FAILED)
    record_outcome(job_id=uuid4(), state=SlotState.CANCELLED)
    assert [RotationSlot.objects.get(pk=slot.pk).state for slot in (mine, other)] == ["failed", "pending"]


@pytest.mark.parametrize("state", SlotState.values)
def test_a_group_whose_azure_key_is_deleted_is_late_for_nobody(group, state):
    add_slot(group, state=state)
    KeyGroup.objects.update(cloud_state="soft_deleted", next_due_at=now() - OVERDUE)
    assert standing(group) == RotationStanding.DELETED
    assert seen_as_late(group) == {False}


def test_a_group_with_nothing_in_the_vault_is_not_on_time_and_may_be_late(group):
    KeyGroup.objects.update(cloud_state="absent")
    assert standing(group) == RotationStanding.NOT_IN_VAULT
    add_slot(group)
    assert standing(group) == RotationStanding.LATE
    assert seen_as_late(group) == {True}
