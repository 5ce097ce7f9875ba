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
from keygroups.models import KeyGroup, Observation, RotationSlot
from kmes.core.clock import now
from tests.keygroups.builders import make_credential, make_group, make_vault

ON_TIME, LATE, FAILED, OFF, DELETED, NOT_IN_VAULT = RotationStanding


@pytest.fixture
def pages(client, db):
    client.force_login(get_user_model().objects.create_user("audra", role="auditor"))
    return client


@pytest.fixture
def group(db):
    return make_group(make_vault(make_credential("Contoso")), "payments", cloud_state="live")


def parse(response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig"), newline="")))


def standing(pages) -> str:
    return standing_of(pages, "payments")


def standing_of(pages, name) -> str:
    return {row["name"]: row["standing"] for row in parse(pages.get("/reports/rotation/export.csv"))}[name]


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


@pytest.mark.parametrize(
    ("state", "standing", "words"),
    [
        ("soft_deleted", DELETED, "1 deleted in the vault, 0 with nothing in the vault yet"),
        ("absent", NOT_IN_VAULT, "0 deleted in the vault, 1 with nothing in the vault yet"),
        ("purged", NOT_IN_VAULT, "0 deleted in the vault, 1 with nothing in the vault yet"),
    ],
)
def test_a_group_that_cannot_comply_is_named_apart(pages, group, state, standing, words):
    set_group(make_group(group.vault, "apart"), cloud_state=state)
    page = pages.get("/reports/rotation/").content.decode()
    assert "1 of 1 key group with a rotation policy keeps it" in page
    assert words in page
    assert standing_of(pages, "apart") == standing


def test_a_deleted_group_is_never_late_and_one_that_was_never_pushed_may_be(pages, group):
    for name, state in (("deleted", "soft_deleted"), ("new", "absent")):
        other = make_group(group.vault, name)
        set_group(other, cloud_state=state)
        make_slot(other, state="failed")
    assert (standing_of(pages, "deleted"), standing_of(pages, "new")) == (DELETED, FAILED)


def see(group, version, **changes):
    values = {"flags": ["unknown"], "enabled": True, "seen_at": now(), **changes}
    return Observation.objects.create(group=group, azure_version=version, **values)


def unmanaged(pages) -> dict[str, str]:
    return {row["version"]: row["state"] for row in parse(pages.get("/reports/unmanaged/export.csv"))}


def test_what_was_not_made_here_is_listed_until_it_is_accepted(pages, group):
    see(group, "a")
    see(group, "b", enabled=False)
    see(group, "c", is_accepted=True)
    assert unmanaged(pages) == {"a": "stranger", "b": "stranger_disabled"}
    page = pages.get("/reports/unmanaged/").content.decode()
    assert "2 versions in the vaults were not made here" in page
    assert "Not made here, disabled" in page


def test_the_job_of_the_newest_comparison_is_named(pages, group):
    see(group, "a")
    for hours in (5, 0):
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
    (row,) = parse(pages.get("/reports/unmanaged/export.csv"))
    assert (row["group"], row["job_code"]) == ("payments", job.code)


def test_a_long_name_is_cut_on_the_page_and_whole_in_its_title(pages, group):
    name = "Production transparent data encryption of the billing database " * 2
    set_group(group, name=name.strip())
    page = pages.get("/reports/rotation/").content.decode()
    assert f'<span class="cut-middle" title="{name.strip()}">' in page
