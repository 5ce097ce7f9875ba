"""A policy that asks for approvals from some keys on: one may go, several need others, also one after the other."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from jobs.approvals.models import ApprovalPolicy, ApprovalRequest
from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.destroy.spec import request_destroy
from jobs.models import Job
from keygroups.models import Key, KeyGroup
from kmes.core.clock import now
from kmes.core.errors import InputError
from tests.jobs.approving import REASON, approve, make_approvers, request_of, set_policy
from tests.jobs.builders import make_keys, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "credential", "device", "group", "hsm_token", "log_can_be_flushed"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def others(admin):
    return make_approvers("ben", "cleo")


@pytest.fixture
def keys(group, admin, others):
    """Six keys; from three on, two users have to approve their destruction."""
    made = make_keys(group, *(f"k{number}" for number in range(6)), actor=admin)
    set_policy("destroy", actor=admin, approvals=2, least=3)
    return made


def test_few_keys_are_destroyed_alone_and_more_need_approvals(keys, admin, others):
    assert work(request_destroy(keys=keys[:2], actor=admin)).state == "succeeded"
    with pytest.raises(InputError, match="Approvers need a reason"):
        request_destroy(keys=keys[2:5], actor=others[0])
    job = request_destroy(keys=keys[2:5], actor=others[0], reason=REASON)
    assert job.state == "awaiting"
    assert request_of(job).requirements[0]["least"] == 3
    third = make_approvers("dan")[0]
    approve(job, admin)
    approve(job, third)
    assert work(job).state == "succeeded"


def test_one_key_after_the_other_counts_together_for_a_day(keys, admin, others):
    for key in keys[:2]:
        assert work(request_destroy(keys=[key], actor=admin)).state == "succeeded"
    assert request_destroy(keys=[keys[2]], actor=admin, reason=REASON).state == "awaiting"
    # Another user has done nothing yet, and a day later neither has this one.
    assert request_destroy(keys=[keys[3]], actor=others[0]).state == "queued"
    with time_machine.travel(now() + timedelta(hours=25)):
        assert request_destroy(keys=[keys[4]], actor=admin).state == "queued"


def test_the_worker_counts_itself(keys, admin):
    """A process that requests without counting, or a database writer, gets nothing destroyed."""
    job = request_destroy(keys=keys[:3], actor=admin, reason=REASON)
    ApprovalRequest.objects.all().delete()
    Job.objects.filter(pk=job.pk).update(state="queued", run_after=now())
    assert work(job).error_code == "approval_void"
    assert set(Key.objects.values_list("state", flat=True)) == {"present"}


def test_a_policy_that_counts_is_signed(keys, admin):
    ApprovalPolicy.objects.update(least=1000)
    with pytest.raises(Exception, match="not as this console wrote it"):
        request_destroy(keys=keys[:3], actor=admin, reason=REASON)


def test_asking_from_more_keys_on_needs_the_approvals_of_the_policy(keys, admin, others):
    weaker = set_policy("destroy", actor=admin, approvals=2, least=4)
    assert weaker.state == "awaiting"
    for each in others:
        approve(weaker, each)
    work(weaker)
    assert request_destroy(keys=keys[:3], actor=admin).state == "queued"


def test_what_concerns_one_thing_only_is_not_counted(admin, others):
    with pytest.raises(InputError, match="for one key already"):
        set_policy("change_users", actor=admin, least=2)


def test_a_deletion_counts_as_one_also_where_no_version_is_known(group, admin, others):
    set_policy("cloud_delete", actor=admin, approvals=2, least=3)
    KeyGroup.objects.update(cloud_state="live")
    requested = [request_cloud_delete(group=group, actor=admin, reason=REASON).state for _time in range(3)]
    assert requested == ["queued", "queued", "awaiting"]
