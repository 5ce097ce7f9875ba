"""Due rotations that are moved to another day, from the rotation calendar."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.urls import reverse

from keygroups.models import CloudVersion, KeyGroup, RotationSlot
from keygroups.rotation_schedule import add_period, anchor_before, next_due
from kmes.core.clock import now
from kmes.core.ids import new_uuid
from logging_reports.models import LogEntry
from tests.keygroups.builders import make_group, make_key, push

CALENDAR, RESCHEDULE = reverse("keygroups:calendar"), reverse("keygroups:reschedule")


def in_days(count: int) -> date:
    return (now() + timedelta(days=count)).date()


def due_on(group: KeyGroup, day: date) -> KeyGroup:
    moment = datetime.combine(day, datetime(2020, 1, 1, 7, 30, tzinfo=UTC).timetz())
    KeyGroup.objects.filter(pk=group.pk).update(
        rotate=True, next_due_at=moment, rotation_anchor_at=moment - timedelta(days=90)
    )
    group.refresh_from_db()
    return group


@pytest.fixture
def groups(vault):
    return [due_on(make_group(vault, name=name), in_days(10)) for name in ("one", "two", "three")]


def picked(groups, **more):
    return {"group_selection": "1", "picked": [str(group.pk) for group in groups], **more}


def due_days() -> dict[str, date]:
    return {group.name: group.next_due_at.date() for group in KeyGroup.objects.filter(next_due_at__isnull=False)}


def test_selected_rotations_move_to_another_day_and_keep_their_time(pages, groups):
    page = pages.post(RESCHEDULE, picked(groups[:2], ask="1")).content.decode()
    assert "Reschedule rotation of 2 key groups" in page
    seen = re.search(r'name="seen" value="(\w+)"', page)[1]
    answer = pages.post(RESCHEDULE, picked(groups[:2], seen=seen, day=in_days(20).isoformat()))
    assert answer.url == f"{CALENDAR}?day={in_days(20).isoformat()}#day"
    assert due_days() == {"one": in_days(20), "two": in_days(20), "three": in_days(10)}
    moved = KeyGroup.objects.get(name="one")
    assert (moved.next_due_at.hour, moved.next_due_at.minute) == (7, 30)
    # The period after it counts from the new day.
    following = next_due(moved.rotation_anchor_at, 90, "days", after=moved.next_due_at)
    assert following == moved.next_due_at + timedelta(days=90)
    rows = LogEntry.objects.filter(event="group.rotation_moved").order_by("sequence")
    assert [row.group for row in rows] == ["one", "two"]
    assert [change[:10] for change in rows[0].data["changed"]["next_due_at"]] == [
        in_days(10).isoformat(),
        in_days(20).isoformat(),
    ]
    assert LogEntry.objects.filter(event="groups.rotation_moved").count() == 1


def test_all_rotations_of_some_days_are_one_selection(pages, groups):
    due_on(groups[2], in_days(12))
    days = f"day={in_days(10)}&until={in_days(11)}"
    page = pages.get(f"{CALENDAR}?{days}").content.decode()
    assert "All 2 key groups that match" in page
    assert "three" not in page.partition('id="day"')[2]
    pages.post(RESCHEDULE, {"group_selection": "1", "all": "1", "filter": days, "day": in_days(30).isoformat()})
    assert due_days() == {"one": in_days(30), "two": in_days(30), "three": in_days(12)}


def test_what_can_not_be_moved_is_left_out_with_its_reason(pages, vault, groups):
    one, two, three = groups
    RotationSlot.objects.create(group=two, due_at=now() - timedelta(minutes=1), tried_at=now(), job_id=new_uuid())
    push(make_key(three, "three-1"))
    CloudVersion.objects.update(expires_at=now() + timedelta(days=15))
    off = make_group(vault, name="off", rotate=False)
    late = due_on(make_group(vault, name="late"), in_days(-1))
    answer = pages.post(
        RESCHEDULE, picked([one, two, three, off, late], day=in_days(20).isoformat()), follow=True
    ).content.decode()
    assert "Rotation of 1 key group moved to" in answer
    for named in (
        "4 key groups were left out",
        "two: A job is rotating it",
        "three: Its active version expires before",
        "off: Rotate Key is off",
        "late: Due already",
    ):
        assert named in answer
    assert due_days()["one"] == in_days(20)
    assert due_days()["three"] == in_days(10)


@pytest.mark.parametrize("ahead", [-1, 0, 367])
def test_a_day_that_is_not_ahead_or_too_far_is_refused_at_its_field(ahead, pages, groups):
    answer = pages.post(RESCHEDULE, picked(groups, day=in_days(ahead).isoformat()))
    assert (answer.status_code, "Choose a day from" in answer.content.decode()) == (422, True)
    assert set(due_days().values()) == {in_days(10)}


def test_who_may_not_manage_groups_sees_the_days_without_boxes(pages, groups):
    operator = pages.as_role("auditor")
    page = operator.get(f"{CALENDAR}?day={in_days(10)}").content.decode()
    assert "one" in page
    assert "data-check-row" not in page
    assert operator.post(RESCHEDULE, picked(groups, day=in_days(20).isoformat())).status_code == 403


@pytest.mark.parametrize(
    ("due", "every", "unit"),
    [
        ("2026-03-31", 1, "months"),
        ("2028-02-29", 12, "months"),
        ("2026-03-31", 90, "days"),
        ("2026-08-31", 6, "months"),
    ],
)
def test_a_schedule_falls_due_on_any_day_it_is_moved_to(due, every, unit):
    moment = datetime.fromisoformat(f"{due}T07:30:00+00:00")
    anchor = anchor_before(moment, every, unit)
    assert anchor < moment
    assert next_due(anchor, every, unit, after=moment - timedelta(seconds=1)) == moment
    assert next_due(anchor, every, unit, after=moment).day == add_period(moment, every, unit).day or due == "2028-02-29"
