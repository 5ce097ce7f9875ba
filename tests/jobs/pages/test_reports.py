"""Reports about work: a group's standing, and what the newest comparison found."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model

from jobs.models import Job
from keygroups.choices import RotationStanding
from keygroups.models import KeyGroup, RotationSlot
from kmes.core.actor import SCHEDULE
from kmes.core.clock import now
from logging_reports.services import Subject, record
from tests.keygroups.builders import make_credential, make_group, make_vault

ON_TIME, LATE, FAILED, OFF = RotationStanding


@pytest.fixture
def pages(client, db):
    client.force_login(get_user_model().objects.create_user("audra", role="auditor"))
    return client


@pytest.fixture
def group(db):
    return make_group(make_vault(make_credential("Contoso")), "payments")


def parse(response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode(), newline="")))


def standing(pages) -> str:
    return parse(pages.get("/reports/rotation/export.csv"))[0]["standing"]


def make_slot(group, *, state):
    return RotationSlot.objects.create(group=group, due_at=now() - timedelta(hours=1), job_id=uuid4(), state=state)


def set_group(group, **values):
    KeyGroup.objects.filter(pk=group.pk).update(**values)


def test_a_new_group_is_on_time(pages, group):
    assert standing(pages) == ON_TIME


def test_a_group_without_rotation_is_off_whatever_happened(pages, group):
    make_slot(group, state="failed")
    set_group(group, rotate=False)
    assert standing(pages) == OFF


def test_a_failed_rotation_shows_until_one_succeeds(pages, group):
    make_slot(group, state="failed")
    assert standing(pages) == FAILED
    set_group(group, last_rotated_at=now())
    assert standing(pages) == ON_TIME


def test_a_rotation_that_could_not_be_asked_for_has_failed(pages, group):
    RotationSlot.objects.create(group=group, due_at=now() - timedelta(hours=1), state="refused")
    assert standing(pages) == FAILED


def test_a_due_moment_that_passed_without_a_success_is_late(pages, group):
    make_slot(group, state="pending")
    assert standing(pages) == LATE
    set_group(group, last_rotated_at=now())
    assert standing(pages) == ON_TIME


def test_a_due_moment_no_scan_has_seen_is_late(pages, group):
    set_group(group, next_due_at=now() - timedelta(hours=1))
    assert standing(pages) == LATE


def test_the_sentence_and_the_filter_follow_the_standing(pages, group):
    make_slot(make_group(group.vault, "broken"), state="failed")
    page = pages.get("/reports/rotation/").content.decode()
    assert "1 of 2 key groups with a rotation policy keep it; 0 late, 1 failed, 0 off." in page
    assert [row["name"] for row in parse(pages.get("/reports/rotation/export.csv?standing=failed"))] == ["broken"]
    assert parse(pages.get("/reports/rotation/export.csv?q=pay"))[0]["policy"] == "Every 90 days"


def compared(group, versions, *, hours=0):
    moment = now() - timedelta(hours=hours)
    job = Job.objects.create(
        kind="check_drift",
        state="succeeded",
        group=group,
        actor_name="schedule",
        trigger="schedule",
        run_after=moment,
        finished_at=moment,
    )
    set_group(group, differences=len(versions))
    for version in versions:
        record(
            "azure.drift_found",
            actor=SCHEDULE,
            subject=Subject(group_id=str(group.pk), group=group.name, vault="kv-prod", version=version),
            job_id=job.pk,
            job_code=job.code,
            data={"finding": "unmanaged"},
        )


def unmanaged(pages) -> list[str]:
    return [row["version"] for row in parse(pages.get("/reports/unmanaged/export.csv"))]


def test_the_newest_comparison_says_what_is_unmanaged(pages, group):
    compared(group, ["old", "both"], hours=5)
    compared(group, ["both", "new"])
    assert unmanaged(pages) == ["both", "new"]
    assert "2 versions in the vaults were not made here" in pages.get("/reports/unmanaged/").content.decode()


def test_a_group_that_differs_no_more_has_nothing_unmanaged(pages, group):
    compared(group, ["old"], hours=5)
    compared(group, [])
    assert unmanaged(pages) == []
