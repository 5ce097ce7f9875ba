"""A rotation that fell due stays due until one succeeds or a person gives it up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from jobs.due_rotations import serve
from jobs.engine import lifecycle as lifecycle_of_jobs
from jobs.kinds.rotate.spec import request_rotation
from jobs.models import Job
from jobs.schedule import scans
from jobs.services import request_cancel
from keygroups import lifecycle
from keygroups.choices import RotationStanding
from keygroups.models import KeyGroup, RotationSlot
from keygroups.rotation_standing import with_standing
from kmes.core.clock import now
from kmes.core.errors import KmesError
from logging_reports.models import LogEntry
from tests.jobs.builders import CLIENT, work

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)
EVERYTHING = ["get", "list", "create", "import", "update", "delete", "recover", "purge"]


@pytest.fixture
def permit(azure_stand_in):
    """Grant the client these permissions, and no others."""

    def grant(*permissions):
        azure_stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "permissions": list(permissions)})

    return grant


def fall_due(group):
    lifecycle.schedule_rotation(group=group, anchor_at=now() - timedelta(days=91))
    group.refresh_from_db()
    return group.next_due_at


def attempt() -> Job:
    (made,) = scans.scan_rotations()
    return work(Job.objects.get(pk=made))


def end_pause():
    RotationSlot.objects.update(next_try_at=now())


def test_a_failed_rotation_stays_due_and_is_tried_again_after_growing_pauses(group, permit):
    due_at = fall_due(group)
    permit("get", "list")
    pauses = []
    for number in range(1, 7):
        job = attempt()
        assert (job.state, job.error_code) == ("failed", "azure.permission")
        group.refresh_from_db()
        slot = group.rotation_slots.get()
        assert (group.next_due_at, slot.due_at, slot.attempts, slot.state) == (due_at, due_at, number, "failed")
        assert slot.last_error.startswith(job.error_what)
        assert scans.scan_rotations() == []
        pauses.append(round((slot.next_try_at - slot.tried_at) / MINUTE))
        end_pause()
    assert pauses == [1, 5, 15, 60, 60, 60]


def test_a_firewall_is_tried_again_and_shown_with_the_address_that_azure_sees(group, azure_stand_in, admin, vault):
    fall_due(group)
    azure_stand_in.control("POST", "/_emulator/vaults/kv-premium", {"firewall": True})
    job = attempt()
    assert (job.state, job.error_code) == ("failed", "azure.firewall")
    slot = group.rotation_slots.get()
    assert slot.next_try_at > now()
    browser = Client()
    browser.force_login(get_user_model().objects.get(pk=admin.user_id))
    page = browser.get(group.get_absolute_url(), follow=True).content.decode()
    assert "Azure sees the address 127.0.0.1." in page
    assert "Next try:" in page
    azure_stand_in.control("POST", "/_emulator/vaults/kv-premium", {"firewall": False})
    end_pause()
    assert attempt().state == "succeeded"
    assert len(vault.versions("payments")) == 1


def test_the_attempt_that_succeeds_pushes_the_key_of_the_first_and_begins_a_new_period(group, permit, vault):
    due_at = fall_due(group)
    permit("get", "list")
    attempt()
    permit(*EVERYTHING)
    end_pause()
    assert attempt().state == "succeeded"
    group.refresh_from_db()
    assert group.next_due_at == due_at + timedelta(days=90)
    assert (group.rotation_slots.get().state, group.rotation_slots.get().attempts) == ("succeeded", 2)
    assert (group.keys.count(), len(vault.versions("payments"))) == (1, 1)
    end_pause()
    assert scans.scan_rotations() == []


def test_two_scans_at_the_same_moment_make_one_attempt(group, permit):
    fall_due(group)
    permit("get", "list")
    attempt()
    end_pause()
    stale = KeyGroup.objects.get()
    assert attempt().state == "failed"

    assert serve(stale) is None
    group.refresh_from_db()
    assert (group.next_due_at, group.rotation_slots.get().attempts) == (stale.next_due_at, 2)


def test_a_rotation_that_no_job_can_be_made_for_stays_due(group):
    due_at = fall_due(group)
    KeyGroup.objects.update(cloud_state="soft_deleted")
    assert scans.scan_rotations() == []
    group.refresh_from_db()
    slot = group.rotation_slots.get()
    assert (group.next_due_at, slot.state, slot.job_id) == (due_at, "refused", None)
    assert slot.next_try_at > now()
    end_pause()
    KeyGroup.objects.update(cloud_state="absent")
    assert attempt().state == "succeeded"


def test_after_more_than_a_period_of_failures_one_rotation_catches_up(group, permit):
    fall_due(group)
    permit("get", "list")
    attempt()
    RotationSlot.objects.update(due_at=now() - timedelta(days=200))
    KeyGroup.objects.update(
        next_due_at=group.rotation_slots.get().due_at, rotation_anchor_at=now() - timedelta(days=290)
    )
    permit(*EVERYTHING)
    end_pause()
    assert attempt().state == "succeeded"
    group.refresh_from_db()
    assert group.next_due_at > now()
    assert group.rotation_slots.count() == 1


def test_a_schedule_that_began_anew_while_the_job_ran_is_not_put_back(group, permit):
    fall_due(group)
    permit("get", "list")
    (made,) = scans.scan_rotations()
    lifecycle.schedule_rotation(group=group, anchor_at=now())
    work(Job.objects.get(pk=made))
    group.refresh_from_db()
    assert group.next_due_at > now() + timedelta(days=89)


def test_standings_stay_failed_until_a_rotation_succeeds(group, permit):
    fall_due(group)
    permit("get", "list")
    attempt()
    assert with_standing(KeyGroup.objects.all()).get().standing == RotationStanding.FAILED
    permit(*EVERYTHING)
    end_pause()
    attempt()
    assert with_standing(KeyGroup.objects.all()).get().standing == RotationStanding.ON_TIME


def test_who_cancels_the_job_gives_the_due_moment_up(group, admin):
    due_at = fall_due(group)
    (made,) = scans.scan_rotations()
    request_cancel(job=Job.objects.get(pk=made), actor=admin)
    group.refresh_from_db()
    assert group.next_due_at == due_at + timedelta(days=90)
    assert scans.scan_rotations() == []


def test_the_cancel_page_says_that_the_due_rotation_is_given_up_and_when_the_next_one_is_due(group, admin):
    due_at = fall_due(group)
    (made,) = scans.scan_rotations()
    job = Job.objects.get(pk=made)
    url = f"/jobs/{job.code}/cancel/"
    page = signed_in(admin).get(url).content.decode()
    assert "Canceling gives it up: it is not tried again." in page
    assert [f"{due_at:%Y-%m-%d %H:%M:%S}" in page, f"{due_at + timedelta(days=90):%Y-%m-%d %H:%M:%S}" in page] == [
        True,
        True,
    ]
    assert "counts as done" not in page
    KeyGroup.objects.update(rotate=False)
    Job.objects.update(started_at=now())
    page = signed_in(admin).get(url).content.decode()
    assert "No other rotation is due" in page
    assert "counts as done" in page


def test_the_cancel_page_of_a_rotation_that_was_not_due_says_nothing_of_the_schedule(group, admin):
    job = request_rotation(group=group, actor=admin)
    assert "gives it up" not in signed_in(admin).get(f"/jobs/{job.code}/cancel/").content.decode()


def test_a_due_rotation_that_fails_after_it_was_cancelled_is_given_up_too(group, admin, permit):
    fall_due(group)
    (made,) = scans.scan_rotations()
    job = Job.objects.get(pk=made)
    claim = lifecycle_of_jobs.claim(job.pk, owner="w")
    request_cancel(job=job, actor=admin)
    with lifecycle_of_jobs.fenced(claim):
        lifecycle_of_jobs.finish(claim, "failed", error=KmesError("The vault refused."))
    assert group.rotation_slots.get().state == "cancelled"
    end_pause()
    assert scans.scan_rotations() == []


# --- What a person does ----------------------------------------------------------------------
@pytest.fixture
def failed(group, permit):
    """The group after a first attempt without success."""
    fall_due(group)
    permit("get", "list")
    attempt()
    group.refresh_from_db()
    return group


def signed_in(actor, **options) -> Client:
    client = Client(**options)
    client.force_login(get_user_model().objects.get(pk=actor.user_id))
    return client


def test_the_group_says_since_when_how_often_why_and_when_next(failed, admin):
    page = signed_in(admin).get(failed.get_absolute_url()).content.decode()
    for text in ("Rotation due since", "Tried 1 time.", "Next try:", "The last try failed:", "Try now"):
        assert text in page
    assert "Stop this rotation" in page


def test_a_person_stops_a_rotation_and_the_next_one_is_a_period_later(failed, admin):
    due_at = failed.next_due_at
    answer = signed_in(admin).post(f"/jobs/rotations/{failed.pk}/stop/")
    assert (answer.status_code, answer.url) == (302, failed.get_absolute_url())
    failed.refresh_from_db()
    assert failed.next_due_at == due_at + timedelta(days=90)
    assert failed.rotation_slots.get().state == "cancelled"
    assert "is given up" in LogEntry.objects.get(event="schedule.rotation_stopped").message
    assert scans.scan_rotations() == []
    # Nothing is due any more.
    signed_in(admin).post(f"/jobs/rotations/{failed.pk}/stop/")
    assert LogEntry.objects.filter(event="schedule.rotation_stopped").count() == 1


def test_a_person_tries_a_rotation_now_and_waits_for_no_pause(failed, admin, permit):
    permit(*EVERYTHING)
    answer = signed_in(admin).post(f"/jobs/rotations/{failed.pk}/try/")
    job = Job.objects.latest("created_at")
    assert (answer.url, job.trigger) == (job.get_absolute_url(), "user")
    assert LogEntry.objects.filter(event="schedule.rotation_tried").count() == 1
    assert work(job).state == "succeeded"
    slot = failed.rotation_slots.get()
    assert (slot.state, slot.attempts, slot.next_try_at) == ("succeeded", 2, None)


def test_stopping_and_trying_need_a_token_and_the_right(failed, admin, django_user_model):
    for what in ("try", "stop"):
        url = f"/jobs/rotations/{failed.pk}/{what}/"
        assert signed_in(admin, enforce_csrf_checks=True).post(url).status_code == 403
        assert signed_in(admin).get(url).status_code == 405
        auditor = Client()
        auditor.force_login(django_user_model.objects.get_or_create(username="eve", role="auditor")[0])
        assert auditor.post(url).status_code == 403
    assert failed.rotation_slots.get().attempts == 1
