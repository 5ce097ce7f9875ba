"""Many key groups under a policy: one request names each of them, one decision lets one job run, and nothing else runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from jobs.approvals.models import ApprovalRequest
from jobs.engine import parts
from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.many_groups import approval
from jobs.kinds.many_groups.operations import OPERATIONS
from jobs.kinds.many_groups.spec import request_many
from jobs.kinds.set_enabled.spec import request_set_enabled
from jobs.models import Job
from jobs.pages.parts import read_matrix
from jobs.services import request_cancel, request_retry
from jobs.spec import registry
from keygroups.choices import GroupCloudState
from keygroups.models import CloudVersion, KeyGroup
from kmes.accounts.models import User
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError
from logging_reports.models import LogEntry
from tests.jobs.approving import REASON, approve, make_approvers, request_of, set_policy
from tests.jobs.breaking_glass import break_glass, give_app
from tests.jobs.builders import make_group, work
from tests.jobs.pages.requesting import text
from tests.people import static_root

__all__ = ["static_root"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def groups(credential, azure_stand_in, admin):
    url = azure_stand_in.vault_url("kv-premium")
    made = [make_group(credential, url, name=f"pay-{number}") for number in range(1, 4)]
    work_off(request_many(kind="rotate", groups=made, actor=admin))
    return [KeyGroup.objects.select_related("vault", "credential").get(pk=each.pk) for each in made]


@pytest.fixture
def ben(admin):
    return make_approvers("ben")[0]


def work_off(job, *, runs=20):
    """Run the job and its parts in turn, as workers do, until it has ended."""
    for _turn in range(runs):
        job.refresh_from_db()
        if job.state not in ("queued", "running"):
            return job
        work(job)
        for part in job.parts.filter(state="queued"):
            work(part)
    message = f"{job} did not end: {job.state}, {job.waiting_for}"
    raise AssertionError(message)


def delete(groups, actor):
    return request_many(kind="cloud_delete", groups=groups, actor=actor, reason=REASON)


def deleted():
    rows = KeyGroup.objects.filter(cloud_state=GroupCloudState.SOFT_DELETED)
    return list(rows.order_by("name").values_list("name", flat=True))


@pytest.mark.parametrize("kind", ["cloud_delete", "set_enabled"])
def test_one_request_names_each_group_and_one_approval_lets_one_job_run(kind, groups, admin, ben):
    set_policy(kind, actor=admin)
    with pytest.raises(InputError, match="Approvers need a reason"):
        request_many(kind=kind, groups=groups, actor=admin)
    job = request_many(kind=kind, groups=groups, actor=admin, reason=REASON)
    assert job.state == "awaiting"
    request = request_of(job)
    assert [fate[0].split(" ")[0] for fate in request.plan["fates"]] == ["pay-1", "pay-2", "pay-3"]
    assert [group["name"] for group in request.plan["objects"]["groups"]] == ["pay-1", "pay-2", "pay-3"]
    assert all(len(group["versions"]) == 1 for group in request.plan["objects"]["groups"])
    approve(job, ben)
    done = work_off(job)
    assert (done.state, done.parts.count()) == ("succeeded", 3), done.error_what
    assert not ApprovalRequest.objects.exclude(job=job).filter(job__kind=kind).exists()
    assert LogEntry.objects.filter(event="approval.approved", job_id=job.pk).count() == 1
    if kind == "cloud_delete":
        assert deleted() == ["pay-1", "pay-2", "pay-3"]
    else:
        assert CloudVersion.objects.filter(enabled=False).count() == 3


def test_each_operation_says_what_becomes_of_groups_where_a_policy_can_be_about_it():
    for kind, operation in OPERATIONS.items():
        assert (operation.outcomes is None) == (registry[kind].approval is None), kind


@pytest.mark.parametrize("change", ["version", "moved", "gone", "name"])
def test_one_group_that_changed_makes_the_whole_void_and_is_named(change, groups, admin, ben):
    set_policy("cloud_delete", actor=admin)
    job = delete(groups, admin)
    approve(job, ben)
    other = groups[1]
    if change == "version":
        work_off(request_many(kind="rotate", groups=[other], actor=admin))
    elif change == "moved":
        KeyGroup.objects.filter(pk=other.pk).update(azure_name="elsewhere")
    elif change == "name":
        KeyGroup.objects.filter(pk=other.pk).update(name="renamed")
    else:
        KeyGroup.objects.filter(pk=other.pk).update(cloud_state=GroupCloudState.ABSENT)
    failed = work_off(job)
    assert (failed.state, failed.error_code, failed.parts.count()) == ("failed", "approval_void", 0)
    assert "pay-2" in failed.error_what
    assert "pay-1" not in failed.error_what
    assert deleted() == []
    # It is requested again as it is, and waits again.
    if change == "version":
        again = request_retry(job=failed, actor=admin, reason=REASON)
        assert again.state == "awaiting"
        approve(again, ben)
        assert work_off(again).state == "succeeded"


def test_who_decides_is_told_which_group_changed(groups, admin, ben):
    set_policy("cloud_delete", actor=admin)
    job = delete(groups, admin)
    work_off(request_many(kind="rotate", groups=[groups[2]], actor=admin))
    with pytest.raises(ConflictError, match="pay-3"):
        approve(job, ben)


def test_a_group_that_changes_after_the_job_began_is_left_out_and_the_others_go_on(groups, admin, ben, monkeypatch):
    monkeypatch.setattr(parts, "WINDOW", 1)
    set_policy("cloud_delete", actor=admin)
    job = approve(delete(groups, admin), ben)
    work(job)
    KeyGroup.objects.filter(pk=groups[1].pk).update(name="renamed")
    ended = work_off(job)
    assert ended.state == "partly_failed"
    assert deleted() == ["pay-1", "pay-3"]
    assert "changed since it was approved" in Job.objects.get(part_of=job, group=groups[1]).error_what


def test_parts_that_begin_long_after_are_void(groups, admin, ben, monkeypatch):
    monkeypatch.setattr(parts, "WINDOW", 1)
    set_policy("cloud_delete", actor=admin, expires_hours=2)
    job = approve(delete(groups, admin), ben)
    work(job)
    work(job.parts.get())
    with time_machine.travel(now() + timedelta(hours=5)):
        ended = work_off(job)
    assert ended.state == "partly_failed"
    assert deleted() == ["pay-1"]
    assert "approval has expired" in read_matrix(ended).rows[0].reason


# --- Without approvals --------------------------------------------------------------------------------
def test_the_worker_runs_nothing_that_came_into_the_queue_without_approvals(groups, admin, ben):
    set_policy("cloud_delete", actor=admin)
    job = delete(groups, admin)
    Job.objects.filter(pk=job.pk).update(state="queued", run_after=now())
    assert work(job).error_code == "not_approved"
    other = delete(groups, admin)
    ApprovalRequest.objects.filter(job=other).delete()
    Job.objects.filter(pk=other.pk).update(state="queued", run_after=now())
    assert work(other).error_code == "approval_void"
    assert not Job.objects.filter(kind="cloud_delete").exists()


def test_approvals_for_some_groups_cover_no_part_of_another_job(groups, admin, ben):
    """A row in the database says that a part belongs to a job that has its approvals."""
    set_policy("cloud_delete", actor=admin)
    approved = approve(delete(groups[:1], admin), ben)
    single = request_cloud_delete(group=groups[1], actor=admin, reason=REASON)
    Job.objects.filter(pk=single.pk).update(state="queued", run_after=now(), part_of=approved)
    assert work(single).error_code == "not_genuine"
    assert deleted() == []


def test_a_part_does_nothing_but_what_the_whole_was_approved_for(groups, admin, ben):
    """The process that signs parts makes one for another group, and one of another kind."""
    for kind in ("cloud_delete", "set_enabled"):
        set_policy(kind, actor=admin)
    approved = approve(delete(groups[:2], admin), ben)
    elsewhere = request_cloud_delete(group=groups[2], actor=admin, part_of=approved)
    version = CloudVersion.objects.get(group=groups[0])
    otherwise = request_set_enabled(version=version, enabled=False, actor=admin, part_of=approved)
    for part in (elsewhere, otherwise):
        assert part.state == "queued"
        assert work(part).error_code == "not_approved"
    assert deleted() == []
    assert not CloudVersion.objects.filter(enabled=False).exists()


def test_a_policy_that_came_after_the_request_stops_it(groups, admin, ben):
    job = request_many(kind="cloud_delete", groups=groups, actor=admin)
    set_policy("cloud_delete", actor=admin)
    failed = work_off(job)
    assert (failed.error_code, deleted()) == ("approval_void", [])


def test_a_policy_for_a_scope_holds_for_the_whole_where_one_group_lies_in_it(groups, admin, ben):
    set_policy("cloud_delete", actor=admin, scope_kind="group", scope="pay-2")
    assert delete(groups, admin).state == "awaiting"
    # Rows that the log does not tell of lie everywhere; these were made by no service.
    assert delete(groups[1:2], admin).state == "awaiting"


def test_what_is_under_no_policy_needs_no_approval(groups, admin, ben):
    set_policy("cloud_delete", actor=admin)
    assert request_many(kind="check_drift", groups=groups, actor=admin).state == "queued"


# --- By amount --------------------------------------------------------------------------------------
def test_an_amount_counts_all_groups_of_the_job(groups, admin, ben):
    set_policy("cloud_delete", actor=admin, least=3)
    job = delete(groups, admin)
    assert job.state == "awaiting"
    request_cancel(job=job, actor=admin)
    assert work_off(delete(groups[:2], admin)).state == "succeeded"
    assert deleted() == ["pay-1", "pay-2"]


def test_two_jobs_one_after_the_other_count_together_before_any_part_is_opened(groups, admin, ben):
    set_policy("cloud_delete", actor=admin, least=3)
    assert delete(groups[:2], admin).state == "queued"
    assert delete(groups[2:], admin).state == "awaiting"
    assert request_cloud_delete(group=groups[2], actor=admin, reason=REASON).state == "awaiting"


def test_what_others_approved_of_many_does_not_count_again(groups, admin, ben):
    set_policy("cloud_delete", actor=admin, least=2)
    assert work_off(approve(delete(groups[:2], admin), ben)).state == "succeeded"
    assert request_cloud_delete(group=groups[2], actor=admin).state == "queued"


def test_the_worker_counts_the_whole_itself(groups, admin, ben):
    set_policy("cloud_delete", actor=admin, least=3)
    job = delete(groups, admin)
    ApprovalRequest.objects.all().delete()
    Job.objects.filter(pk=job.pk).update(state="queued", run_after=now())
    assert work(job).error_code == "approval_void"


def test_a_request_takes_as_many_groups_as_approvers_can_read(groups, admin, ben, monkeypatch):
    monkeypatch.setattr(approval, "MOST_GROUPS", 2)
    set_policy("cloud_delete", actor=admin)
    with pytest.raises(ConflictError, match="up to 2 key groups"):
        delete(groups, admin)
    assert not Job.objects.filter(params__each="cloud_delete").exists()


# --- Crashes ----------------------------------------------------------------------------------------
def test_a_run_after_a_crash_goes_on_and_does_nothing_twice(groups, admin, ben, monkeypatch):
    monkeypatch.setattr(parts, "WINDOW", 1)
    set_policy("cloud_delete", actor=admin)
    job = approve(delete(groups, admin), ben)
    work(job)
    work(job.parts.get())
    Job.objects.filter(pk=job.pk).update(state="running", lease_until=job.created_at)
    assert work_off(job).state == "succeeded"
    assert job.parts.count() == 3


class Crash(BaseException):
    """A worker's sudden end; nothing in the product can catch it."""


MOMENTS = [
    *("many_groups.before_parts", "many_groups.after_part"),
    *(f"cloud_delete.{when}_{step}" for step in ("preflight", "delete_key", "record") for when in ("before", "after")),
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_was_approved_is_done_once_wherever_a_worker_crashes(moment, groups, admin, ben, settings):
    set_policy("cloud_delete", actor=admin)
    job = approve(delete(groups, admin), ben)
    fallen = []

    def fall(at):
        if at == moment and not fallen:
            fallen.append(at)
            raise Crash

    settings.KMES_FAILPOINTS = fall
    try:
        work_off(job)
    except Crash:
        gone = now() - timedelta(seconds=1)
        Job.objects.filter(state="running").update(lease_until=gone)
    assert fallen == [moment]
    for _run in range(2):
        for part in job.parts.filter(state="running"):
            work(part)
    assert work_off(job).state == "succeeded"
    assert (deleted(), job.parts.count()) == (["pay-1", "pay-2", "pay-3"], 3)


def test_glass_is_broken_for_many_groups_at_once(groups, admin, ben):
    give_app(admin)
    set_policy("cloud_delete", actor=admin, allows_break_glass=True)
    job = delete(groups, admin)
    break_glass(job, admin)
    assert work_off(job).state == "succeeded"
    assert deleted() == ["pay-1", "pay-2", "pay-3"]


# --- Over HTTP ------------------------------------------------------------------------------------------
def test_the_page_says_whose_approvals_are_needed_asks_for_a_reason_and_leads_to_the_request(
    groups, admin, ben, static_root
):
    set_policy("cloud_delete", actor=admin)
    requester, approver = Client(), Client()
    requester.force_login(User.objects.get(pk=admin.user_id))
    approver.force_login(User.objects.get(pk=ben.user_id))
    picked = {"group_selection": "1", "picked": [str(group.pk) for group in groups]}
    address = "/jobs/start-many/cloud_delete/"
    shown = text(requester.get(address, picked))
    assert "Others have to approve this first" in shown
    assert "Request approval" in shown
    sent = {**picked, "typed": "3 key groups"}
    assert requester.post(address, sent).status_code == 422
    assert requester.post(address, {**sent, "reason": REASON}).status_code == 302
    job = Job.objects.get(params__each="cloud_delete")
    page = text(approver.get(f"/approvals/{job.code}/"))
    for words in ("pay-1", "pay-2", "pay-3", "deleted with its 1 version", REASON):
        assert words in page, words
    decided = approver.post(f"/approvals/{job.code}/decide/", {"verdict": "approve", "seen": request_of(job).digest})
    assert decided.status_code == 302
    assert work_off(job).state == "succeeded"
    assert deleted() == ["pay-1", "pay-2", "pay-3"]
