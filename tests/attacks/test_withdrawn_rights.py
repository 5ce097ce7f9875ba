"""A custodian queues rotate and destroy, and is then deactivated or loses the role."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from hsm.device import get_device
from jobs.choices import JobState
from jobs.due_rotations import serve
from jobs.engine import lifecycle
from jobs.engine.creation import NewJob, create_job
from jobs.kinds.create.spec import request_create_keys
from jobs.kinds.destroy.spec import request_destroy
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from keygroups.choices import SlotState
from keygroups.models import Key, KeyGroup, RotationSlot
from kmes.accounts.services import UserValues, deactivate_user, update_user
from kmes.core.actor import Actor
from kmes.core.clock import now
from logging_reports.models import LogEntry, Notice
from tests.jobs.builders import make_keys, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token, vault
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "credential", "device", "group", "hsm_token", "log_can_be_flushed", "vault"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def custodian(transactional_db):
    return get_user_model().objects.create_user("carl", role="custodian")


def take_rights_away_in_the_database(user) -> None:
    """As another process does it between the scan and the claim: nothing queued is touched."""
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)


def test_a_queued_destroy_of_somebody_deactivated_destroys_nothing(group, custodian, admin):
    keys = make_keys(group, "k1", actor=admin)
    job = request_destroy(keys=keys, actor=Actor.from_user(custodian))
    take_rights_away_in_the_database(custodian)
    work(job)
    assert (job.state, job.error_code) == (JobState.FAILED, "permission")
    assert "carl is deactivated" in job.error_what
    assert bytes(Key.objects.get(pk=keys[0].pk).wrapped_private)
    assert LogEntry.objects.get(event="job.refused").job_id == job.pk
    assert Notice.objects.filter(event="job.refused").count() == 1


def test_a_queued_rotation_of_somebody_deactivated_makes_no_key_and_calls_no_vault(group, custodian, vault):
    job = request_rotation(group=group, actor=Actor.from_user(custodian))
    take_rights_away_in_the_database(custodian)
    work(job)
    assert job.state == JobState.FAILED
    assert not group.keys.exists()
    assert not LogEntry.objects.filter(service="azure", event__startswith="azure.k").exists()


def test_a_job_whose_requester_lost_only_the_role_is_refused(group, custodian, admin):
    job = request_rotation(group=group, actor=Actor.from_user(custodian))
    get_user_model().objects.filter(pk=custodian.pk).update(role="auditor")
    assert "Keys:Rotate" in work(job).error_what


def test_a_job_that_waited_in_the_middle_of_its_work_is_refused_when_it_is_taken_up_again(group, custodian, admin):
    keys = make_keys(group, "k1", actor=admin)
    job = request_synchronize(keys=keys, actor=Actor.from_user(custodian))
    claim = lifecycle.claim(job.pk, owner="one")
    lifecycle.release(claim, run_after=now(), waiting_for="its vault")
    deactivate_user(user=custodian, actor=admin)
    job.refresh_from_db()
    assert (job.state, job.run_after <= now()) == (JobState.QUEUED, True)
    assert work(job).error_code == "permission"


def test_a_job_that_follows_one_of_somebody_deactivated_is_refused_whoever_it_names(group, custodian, admin):
    keys = make_keys(group, "k1", actor=admin)
    first = request_synchronize(keys=keys, actor=Actor.from_user(custodian))
    work(first)
    new = NewJob("rotate", group.name, group=group, params={"name": "k2"}, follows=first)
    follower = create_job(new, actor=admin, idempotency_key="")
    take_rights_away_in_the_database(custodian)
    assert work(follower).error_code == "permission"


def test_deactivating_cancels_what_is_queued_and_logs_each(group, custodian, admin):
    actor = Actor.from_user(custodian)
    jobs = [request_create_keys(group=group, names=[name], actor=actor) for name in ("k1", "k2")]
    other = request_create_keys(group=group, names=["k3"], actor=admin)
    deactivate_user(user=custodian, actor=admin)
    assert set(Job.objects.filter(pk__in=[job.pk for job in jobs]).values_list("state", flat=True)) == {"cancelled"}
    assert Job.objects.get(pk=other.pk).state == JobState.QUEUED
    assert LogEntry.objects.filter(event="job.cancelled", message__contains="has lost the right").count() == 2


def test_a_smaller_role_cancels_only_what_it_does_not_allow(group, custodian, admin):
    actor = Actor.from_user(custodian)
    create = request_create_keys(group=group, names=["k1"], actor=actor)
    rotate = request_rotation(group=group, actor=actor)
    update_user(user=custodian, values=UserValues("operator"), actor=admin)
    assert Job.objects.get(pk=create.pk).state == JobState.CANCELLED
    assert Job.objects.get(pk=rotate.pk).state == JobState.QUEUED


def test_a_due_rotation_that_somebody_deactivated_had_tried_stays_due(group, custodian, admin):
    due = now()
    KeyGroup.objects.filter(pk=group.pk).update(
        rotate=True, rotate_every=10, rotate_unit="days", rotation_anchor_at=due - timedelta(days=10), next_due_at=due
    )
    group.refresh_from_db()
    job_id = serve(group, actor=Actor.from_user(custodian))
    deactivate_user(user=custodian, actor=admin)
    assert Job.objects.get(pk=job_id).state == JobState.CANCELLED
    slot = RotationSlot.objects.get(job_id=job_id)
    assert (slot.state, slot.next_try_at is not None) == (SlotState.FAILED, True)
    group.refresh_from_db()
    assert group.next_due_at == due


def test_the_schedule_goes_on_without_any_user(group, custodian):
    KeyGroup.objects.filter(pk=group.pk).update(
        rotate=True, rotate_every=1, rotate_unit="months", rotation_anchor_at=now(), next_due_at=now()
    )
    group.refresh_from_db()
    take_rights_away_in_the_database(custodian)
    assert work(Job.objects.get(pk=serve(group))).state == JobState.SUCCEEDED
    assert get_device() is not None


def test_the_confirmation_says_what_will_be_cancelled(group, custodian, admin, client):
    request_rotation(group=group, actor=Actor.from_user(custodian))
    client.force_login(get_user_model().objects.get(pk=admin.user_id))
    page = client.get(reverse("accounts:user_deactivate", args=[custodian.pk])).content.decode()
    assert "1 queued job requested by carl is canceled." in page
    form = client.get(reverse("accounts:user_edit", args=[custodian.pk])).content.decode()
    assert "With the role Auditor: 1 queued job requested by carl is canceled." in form
    assert "With the role Operator" not in form
