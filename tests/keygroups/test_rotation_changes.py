"""The rotation of many key groups, changed on one page."""

from __future__ import annotations

import re

from django.urls import reverse

from keygroups.models import KeyGroup
from logging_reports.models import LogEntry
from tests.keygroups.builders import make_group

ROTATION = reverse("keygroups:rotation")


def selected(groups, **more):
    return {"group_selection": "1", "picked": [str(group.pk) for group in groups], **more}


def seen_by(response) -> str:
    return re.search(r'name="seen" value="(\w+)"', response.content.decode())[1]


def test_one_page_sets_how_often_many_groups_rotate(pages, vault):
    groups = [make_group(vault, name=name) for name in ("one", "two", "three")]
    page = pages.post(ROTATION, selected(groups[:2], ask="1"))
    assert "Edit rotation of 2 key groups" in page.content.decode()
    assert not LogEntry.objects.filter(event="group.updated").exists()
    sent = selected(groups[:2], seen=seen_by(page), rotate="on", rotate_every="30", rotate_unit="days")
    assert pages.post(ROTATION, sent).status_code == 302
    changed = KeyGroup.objects.filter(rotate_every=30, rotate_unit="days")
    assert {group.name for group in changed} == {"one", "two"}
    assert {(group.next_due_at - group.rotation_anchor_at).days for group in changed} == {30}
    rows = LogEntry.objects.filter(event="group.updated").order_by("sequence")
    assert [row.group for row in rows] == ["one", "two"]
    assert LogEntry.objects.get(event="groups.rotation_changed").message.startswith(
        "Rotation of 2 key group(s) changed"
    )


def test_a_group_that_rotates_no_more_keeps_its_period(pages, vault):
    group = make_group(vault, name="one")
    pages.post(ROTATION, selected([group], rotate_every="", rotate_unit="days"))
    group.refresh_from_db()
    assert (group.rotate, group.rotate_every, group.next_due_at) == (False, 90, None)


def test_a_period_that_can_not_be_is_refused_at_its_field(pages, vault):
    group = make_group(vault, name="one")
    answer = pages.post(ROTATION, selected([group], rotate="on", rotate_every="0", rotate_unit="days"))
    assert (answer.status_code, "greater than or equal to 1" in answer.content.decode()) == (422, True)
    answer = pages.post(ROTATION, selected([group], rotate="on", rotate_every="521", rotate_unit="weeks"))
    assert (answer.status_code, "A number from 1 to 520" in answer.content.decode()) == (422, True)
    answer = pages.post(ROTATION, selected([group], rotate="on", rotate_every="", rotate_unit="days"))
    assert "Enter how often to rotate" in answer.content.decode()


def test_who_may_not_manage_groups_may_not(pages, vault):
    group = make_group(vault, name="one")
    assert pages.as_role("operator").post(ROTATION, selected([group], ask="1")).status_code == 403
