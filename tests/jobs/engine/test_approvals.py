"""A job that a policy is about waits for the approvals of others, and runs once as they saw it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth import get_user_model

from jobs.approvals import services
from jobs.approvals.models import ApprovalPolicy, Verdict
from jobs.choices import TargetState
from jobs.engine import lifecycle
from jobs.engine.approval_checks import check_approved
from jobs.engine.authenticity import check_request
from jobs.engine.entitlement import check_authentic
from jobs.engine.run import JobRun
from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.cloud_purge.spec import request_cloud_purge
from jobs.kinds.destroy.spec import request_destroy
from jobs.kinds.set_approval_policy.runner import RUNNER
from jobs.kinds.set_approval_policy.spec import request_set_approval_policy
from jobs.kinds.set_enabled.spec import request_set_enabled, request_switch
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from jobs.services import request_cancel, request_removal
from keygroups import lifecycle as key_lifecycle
from keygroups.models import CloudVersion, Key
from kmes.accounts.services import deactivate_user
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError, PermissionRefused
from logging_reports.models import LogEntry, Notice
from tests.jobs.approving import REASON, approve, make_approvers, request_of, set_policy
from tests.jobs.builders import make_keys, work

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def others(admin):
    """Two administrators beside the one who requests."""
    return make_approvers("ben", "cleo")


@pytest.fixture
def keys(group, admin):
    return make_keys(group, "k1", "k2", actor=admin)


@pytest.fixture
def pushed(group, keys, admin):
    """A group with two versions in the vault."""
    assert work(request_synchronize(keys=keys, actor=admin)).state == "succeeded"
    group.refresh_from_db()
    return group


def test_without_a_policy_nobody_else_is_needed(keys, admin):
    job = work(request_destroy(keys=keys, actor=admin))
    assert job.state == "succeeded"
    assert not hasattr(job, "approval_request")


def test_it_waits_for_each_approval_and_then_runs_once(keys, admin, others):
    set_policy("destroy", actor=admin, approvals=2)
    job = request_destroy(keys=keys, actor=admin, reason=REASON)
    assert work(job).state == "awaiting"
    assert approve(job, others[0]).state == "awaiting"
    assert approve(job, others[1]).state == "queued"
    assert work(job).state == "succeeded"
    assert set(Key.objects.values_list("state", flat=True)) == {"destroyed"}
    rows = LogEntry.objects.filter(job_id=job.pk).order_by("sequence")
    assert [(row.event, row.actor_name) for row in rows if row.event.startswith(("approval", "job"))] == [
        ("approval.requested", "ada"),
        ("job.requested", "ada"),
        ("approval.approved", "ben"),
        ("approval.approved", "cleo"),
        ("job.started", "ada"),
        ("job.finished", "ada"),
    ]
    notice = Notice.objects.get(event="approval.requested")
    assert (notice.topic, notice.url) == ("approval", f"/approvals/{job.code}/")


def test_the_requester_the_deactivated_and_other_roles_decide_nothing(keys, admin, others):
    set_policy("destroy", actor=admin)
    job = request_destroy(keys=keys, actor=admin, reason=REASON)
    [keeper] = make_approvers("kim", role="custodian")
    former = get_user_model().objects.get(pk=others[1].user_id)
    deactivate_user(user=former, actor=admin)
    for actor in (admin, keeper, others[1]):
        with pytest.raises(PermissionRefused):
            approve(job, actor)
    assert not request_of(job).decisions.exists()
    assert job.state == "awaiting"


def test_a_refusal_ends_it_for_good(keys, admin, others):
    set_policy("destroy", actor=admin, approvals=2)
    job = request_destroy(keys=keys, actor=admin, reason=REASON)
    approve(job, others[0])
    approve(job, others[1], verdict=Verdict.REFUSE, reason="Still in use")
    assert (job.state, job.error_code, job.error_remedy) == ("cancelled", "approval_refused", "Still in use")
    assert work(job).state == "cancelled"
    assert LogEntry.objects.filter(job_id=job.pk, event="job.cancelled").count() == 1


def test_nobody_decides_twice_or_on_what_was_not_shown(keys, admin, others):
    set_policy("destroy", actor=admin, approvals=2)
    job = request_destroy(keys=keys, actor=admin, reason=REASON)
    with pytest.raises(ConflictError, match="The plan has changed"):
        approve(job, others[0], seen="0" * 64)
    approve(job, others[0])
    with pytest.raises(ConflictError, match="decided already"):
        approve(job, others[0])
    approve(job, others[1])
    with pytest.raises(ConflictError, match="no longer waits"):
        approve(job, *make_approvers("dora"))


def test_a_reason_is_asked_for(keys, admin, others):
    set_policy("destroy", actor=admin)
    with pytest.raises(InputError, match="reason"):
        request_destroy(keys=keys, actor=admin, reason=" ")
    assert not Job.objects.filter(kind="destroy").exists()


def test_what_nobody_approves_in_time_is_cancelled(keys, admin, others):
    set_policy("destroy", actor=admin, expires_hours=2)
    job = request_destroy(keys=keys, actor=admin, reason=REASON)
    services.end_expired()
    with time_machine.travel(now() + timedelta(hours=2, seconds=1)):
        with pytest.raises(ConflictError, match="expired"):
            approve(job, others[0])
        services.end_expired()
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("cancelled", "approval_expired")
    assert LogEntry.objects.filter(event="approval.expired", job_id=job.pk).count() == 1


def test_what_is_cancelled_meanwhile_is_decided_by_nobody(keys, admin, others):
    set_policy("destroy", actor=admin)
    job = request_destroy(keys=keys, actor=admin, reason=REASON)
    assert request_cancel(job=job, actor=admin).state == "cancelled"
    with pytest.raises(ConflictError):
        approve(job, others[0])


def test_a_policy_is_changed_under_itself(keys, admin, others):
    set_policy("destroy", actor=admin)
    change = set_policy("destroy", actor=admin, approvals=0)
    assert change.state == "awaiting"
    assert request_destroy(keys=keys[:1], actor=admin, reason=REASON).state == "awaiting"
    assert work(approve(change, others[0])).state == "succeeded"
    assert work(request_destroy(keys=keys[1:], actor=admin)).state == "succeeded"
    rows = LogEntry.objects.filter(event="approval.policy_changed").order_by("sequence")
    assert [row.data["number"] for row in rows] == [1, 2]
    assert "from: 1 approval by a user with the role Administrator, within 72 hours, to: no approval" in rows[1].message


def test_a_policy_that_nobody_could_fulfil_is_refused(admin):
    with pytest.raises(InputError, match="Only 1 active user"):
        request_set_approval_policy(action="destroy", approvals=1, role="admin", expires_hours=1, actor=admin)
    assert not ApprovalPolicy.objects.exists()


def test_a_request_to_end_a_policy_says_that_it_ends(admin, others):
    set_policy("destroy", actor=admin)
    ending = set_policy("destroy", actor=admin, approvals=0)
    plan = request_of(ending).plan
    assert plan["effects"] == ["The policy ends."]
    assert "The action then needs no approval." in plan["warnings"]


def test_a_removal_is_approved_as_a_whole(pushed, admin, others, vault):
    set_policy("cloud_purge", actor=admin)
    job = request_removal(group=pushed, cloud="purge", local=True, actor=admin, reason=REASON)
    assert job.state == "awaiting"
    effects = request_of(job).plan["effects"]
    assert any("nobody can recover" in effect for effect in effects)
    assert any("k1, k2" in effect for effect in effects)
    work(approve(job, others[0]))
    assert job.state == "succeeded", job.error_what
    purge = work(Job.objects.get(follows=job))
    assert (purge.kind, purge.state) == ("cloud_purge", "succeeded"), purge.error_what
    local = work(Job.objects.get(follows=purge))
    assert (local.kind, local.state) == ("destroy", "succeeded"), local.error_what


def test_a_purge_and_a_deletion_each_need_their_own(pushed, admin, others):
    set_policy("cloud_delete", actor=admin)
    set_policy("cloud_purge", actor=admin, approvals=2)
    delete = request_cloud_delete(group=pushed, actor=admin, reason=REASON)
    assert work(approve(delete, others[0])).state == "succeeded"
    purge = request_cloud_purge(group=pushed, actor=admin, reason=REASON)
    assert approve(purge, others[0]).state == "awaiting"
    assert work(approve(purge, others[1])).state == "succeeded"


def test_only_disabling_the_current_version_needs_approval(pushed, admin, others):
    set_policy("set_enabled", actor=admin)
    current = CloudVersion.objects.get(group=pushed, state="active")
    older = CloudVersion.objects.get(group=pushed, state="superseded")
    assert work(request_set_enabled(version=older, enabled=False, actor=admin)).state == "succeeded"
    job = request_set_enabled(version=current, enabled=False, actor=admin, reason=REASON)
    assert job.state == "awaiting"
    assert work(approve(job, others[0])).state == "succeeded"
    current.refresh_from_db()
    assert not current.enabled
    assert request_set_enabled(version=current, enabled=True, actor=admin).state == "queued"


def test_several_versions_need_approval_when_the_current_one_is_among_them(pushed, admin, others):
    set_policy("set_enabled", actor=admin)
    versions = list(CloudVersion.objects.filter(group=pushed).order_by("ordinal"))
    job = request_switch(versions=versions, enabled=False, actor=admin, reason=REASON)
    assert job.state == "awaiting"
    assert "Disable 2 keys" in request_of(job).plan["title"]
    assert work(approve(job, others[0])).state == "succeeded", job.error_what
    assert not CloudVersion.objects.filter(group=pushed, enabled=True).exists()


def test_a_changed_world_makes_the_approval_void(pushed, keys, admin, others):
    set_policy("cloud_delete", actor=admin)
    job = request_cloud_delete(group=pushed, actor=admin, reason=REASON)
    approve(job, others[0])
    extra = make_keys(pushed, "k3", actor=admin)
    CloudVersion.objects.filter(group=pushed, state="superseded").update(enabled=False)
    assert extra
    work(job)
    assert (job.state, job.error_code) == ("failed", "approval_void")
    assert "has changed since it was approved" in job.error_what
    assert not LogEntry.objects.filter(event="azure.key_deleted").exists()


def test_a_changed_world_can_not_be_approved(pushed, admin, others):
    set_policy("cloud_delete", actor=admin)
    job = request_cloud_delete(group=pushed, actor=admin, reason=REASON)
    CloudVersion.objects.filter(group=pushed, state="superseded").update(enabled=False)
    with pytest.raises(ConflictError, match="Cancel the job and request it again"):
        approve(job, others[0])
    assert approve(job, others[0], verdict=Verdict.REFUSE).state == "cancelled"


def test_approvers_must_still_be_entitled_when_it_runs(keys, admin, others):
    set_policy("destroy", actor=admin)
    job = approve(request_destroy(keys=keys, actor=admin, reason=REASON), others[0])
    deactivate_user(user=get_user_model().objects.get(pk=others[0].user_id), actor=admin)
    work(job)
    assert (job.state, job.error_code) == ("failed", "approval_void")
    assert "ben approved it" in job.error_what
    assert set(Key.objects.values_list("state", flat=True)) == {"present"}


def test_a_stricter_policy_counts_for_what_waits(keys, admin, others):
    set_policy("destroy", actor=admin)
    job = approve(request_destroy(keys=keys, actor=admin, reason=REASON), others[0])
    change = set_policy("destroy", actor=admin, approvals=2)
    assert work(approve(change, others[1])).state == "succeeded"
    assert work(job).error_code == "approval_void"


def test_what_was_queued_before_the_policy_needs_approval_too(keys, admin, others):
    job = request_destroy(keys=keys, actor=admin)
    set_policy("destroy", actor=admin)
    assert work(job).error_code == "approval_void"
    assert check_request(job)


def lose_worker(job):
    """Let the lease of a run end, as that of a worker that was killed."""
    Job.objects.filter(pk=job.pk).update(lease_until=now() - timedelta(seconds=1))


def test_a_run_goes_on_after_a_crash_that_came_after_its_first_change(keys, admin, others):
    set_policy("destroy", actor=admin)
    job = approve(request_destroy(keys=keys, actor=admin, reason=REASON), others[0])
    run = JobRun(job, lifecycle.claim(job.pk, owner="killed"))
    check_authentic(run)
    check_approved(job)
    first = run.pending_targets()[0]
    with run.write() as tx:
        key_lifecycle.destroy_key(key=first.key)
        tx.record_result(first, TargetState.DONE)
    lose_worker(job)
    assert work(job).state == "succeeded", job.error_what
    assert set(Key.objects.values_list("state", flat=True)) == {"destroyed"}


def test_a_crash_before_the_first_change_leaves_the_plan_to_be_compared(keys, admin, others):
    set_policy("destroy", actor=admin)
    job = approve(request_destroy(keys=keys, actor=admin, reason=REASON), others[0])
    lifecycle.claim(job.pk, owner="killed")
    check_approved(job)
    lose_worker(job)
    Key.objects.filter(pk=keys[0].pk).update(name="another")
    assert work(job).error_code == "approval_void"


def test_a_policy_is_written_once_though_its_worker_is_lost(admin, others):
    job = request_set_approval_policy(action="destroy", approvals=1, role="admin", expires_hours=1, actor=admin)
    run = JobRun(job, lifecycle.claim(job.pk, owner="killed"))
    check_authentic(run)
    check_approved(job)
    RUNNER.run(run)
    lose_worker(job)
    assert work(job).state == "succeeded", job.error_what
    assert ApprovalPolicy.objects.count() == 1
    assert LogEntry.objects.filter(event="approval.policy_changed").count() == 1
