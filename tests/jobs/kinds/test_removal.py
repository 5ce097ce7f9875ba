"""Removing the keys of a group: here, in the cloud, or both in the order that can be trusted."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from jobs.engine.chains import create_next
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from jobs.services import request_removal, request_retry
from keygroups.models import KeyGroup
from kmes.core.actor import Actor
from kmes.core.errors import PermissionRefused
from tests.jobs.builders import make_keys, messages, work

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pushed(group, admin):
    """Two keys; the first is in the vault."""
    one, two = make_keys(group, "one", "two", actor=admin)
    assert work(request_synchronize(keys=[one], actor=admin)).state == "succeeded"
    return one, two


def fresh(row):
    row.refresh_from_db()
    return row


def remove(group, admin, *, cloud="", local=False):
    """Ask for it, and work until nothing follows any more; return the jobs in order."""
    loaded = KeyGroup.objects.select_related("vault", "credential").get(pk=group.pk)
    jobs = [work(request_removal(group=loaded, cloud=cloud, local=local, actor=admin))]
    while following := jobs[-1].followers.first():
        jobs.append(work(following))
    return jobs


def test_both_is_cloud_first_then_here(pushed, group, admin, vault):
    jobs = remove(group, admin, cloud="delete", local=True)
    assert [(job.kind, job.state) for job in jobs] == [("cloud_delete", "succeeded"), ("destroy", "succeeded")]
    assert jobs[0].finished_at <= jobs[1].started_at
    assert vault.is_deleted("payments")
    assert {fresh(key).state for key in pushed} == {"destroyed"}


def test_purge_follows_the_deletion_and_keys_here_stay(pushed, group, admin, vault):
    jobs = remove(group, admin, cloud="purge")
    assert [(job.kind, job.state) for job in jobs] == [("cloud_delete", "succeeded"), ("cloud_purge", "succeeded")]
    assert not vault.is_deleted("payments")
    assert vault.versions("payments") == []
    assert {fresh(key).state for key in pushed} == {"present"}


def test_all_three_follow_one_another(pushed, group, admin, vault):
    jobs = remove(group, admin, cloud="purge", local=True)
    assert [job.kind for job in jobs] == ["cloud_delete", "cloud_purge", "destroy"]
    assert {job.state for job in jobs} == {"succeeded"}


def test_nothing_here_is_touched_when_the_cloud_refuses(pushed, group, admin, vault, azure_stand_in):
    azure_stand_in.control(
        "POST", "/_emulator/faults", {"method": "DELETE", "path": "/keys/payments.*", "status": 403, "count": 5}
    )
    (job,) = remove(group, admin, cloud="delete", local=True)
    assert job.state == "failed"
    assert {fresh(key).state for key in pushed} == {"present"}
    assert len(vault.versions("payments")) == 1


def test_a_retry_carries_on_with_what_was_to_follow(pushed, group, admin, azure_stand_in):
    azure_stand_in.control(
        "POST", "/_emulator/faults", {"method": "DELETE", "path": "/keys/payments.*", "status": 403, "count": 1}
    )
    (failed,) = remove(group, admin, cloud="delete", local=True)
    again = work(request_retry(job=failed, actor=admin))
    assert again.state == "succeeded"
    assert work(again.followers.get()).state == "succeeded"
    assert {fresh(key).state for key in pushed} == {"destroyed"}


def test_what_follows_is_opened_once_however_often_the_end_is_told(pushed, group, admin):
    job, following = remove(group, admin, cloud="delete", local=True)
    assert create_next(job, actor=admin) in {None, following}
    assert Job.objects.filter(follows=job).count() == 1


def test_a_right_taken_away_meanwhile_stops_the_row_and_says_so(pushed, group, admin):
    loaded = KeyGroup.objects.select_related("vault", "credential").get(pk=group.pk)
    job = request_removal(group=loaded, cloud="purge", local=True, actor=admin)
    get_user_model().objects.filter(pk=admin.user_id).update(role="custodian")
    job = work(job)
    assert job.state == "warned"
    assert not job.followers.exists()
    assert any("What was to follow can't be started" in text for text in messages(job))
    assert {fresh(key).state for key in pushed} == {"present"}


def test_only_keys_that_were_there_when_it_was_asked_are_destroyed(pushed, group, admin):
    loaded = KeyGroup.objects.select_related("vault", "credential").get(pk=group.pk)
    job = request_removal(group=loaded, cloud="delete", local=True, actor=admin)
    (late,) = make_keys(group, "late", actor=admin)
    work(work(job).followers.get())
    assert fresh(late).state == "present"


def test_every_right_is_asked_for_before_anything_starts(pushed, group, admin):
    before = Job.objects.count()
    custodian = get_user_model().objects.create_user("kim", role="custodian")
    with pytest.raises(PermissionRefused, match="Cloud Keys:Purge"):
        request_removal(group=group, cloud="purge", local=True, actor=Actor.from_user(custodian))
    assert Job.objects.count() == before
