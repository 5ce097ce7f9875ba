"""Break glass: rows that somebody writes, and entitlements that end, get nothing run, and no review is closed by them."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from jobs.approvals.models import ApprovalDecision, BreakGlassReview, Verdict
from jobs.engine import approval_requests
from jobs.engine.break_glass import list_unreviewed
from jobs.kinds.destroy.spec import request_destroy
from jobs.models import Job
from keygroups.models import Key
from kmes.accounts.models import User
from kmes.core.clock import now
from logging_reports.models import LogEntry, Notice
from tests.jobs.approving import REASON, approve, make_approvers, request_of, set_policy
from tests.jobs.breaking_glass import WHY, break_glass, give_app
from tests.jobs.builders import make_keys, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token

__all__ = ["admin", "credential", "device", "group", "hsm_token"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def others(admin):
    return make_approvers("ben", "cleo")


@pytest.fixture
def keys(group, admin, others):
    give_app(admin)
    made = make_keys(group, "k1", "k2", actor=admin)
    set_policy("destroy", actor=admin, allows_break_glass=True)
    return made


@pytest.fixture
def job(keys, admin):
    return request_destroy(keys=keys[:1], actor=admin, reason=REASON)


def nothing_ran(job, code):
    Job.objects.filter(pk=job.pk).update(state="queued", run_after=now())
    work(job)
    assert set(Key.objects.values_list("state", flat=True)) == {"present"}
    assert not LogEntry.objects.filter(event="job.started", job_id=job.pk).exists()
    return (job.state, job.error_code) == ("failed", code)


def alarms():
    return Notice.objects.filter(event="job.not_genuine").count()


def web_writes(job, actor, verdict=Verdict.BREAK_GLASS):
    """What the key of the web process alone can write."""
    return approval_requests.add_decision(request_of(job), actor=actor, verdict=verdict, reason=WHY)


def test_a_forged_row_does_not_break_glass(job, admin):
    ApprovalDecision.objects.create(
        request=request_of(job),
        user_id=admin.user_id,
        user_name=admin.name,
        verdict=Verdict.BREAK_GLASS,
        reason=WHY,
        decided_at=now(),
        signature=bytes(64),
    )
    assert nothing_ran(job, "not_approved")
    assert alarms() == 1


def test_an_approval_that_is_turned_into_breaking_glass_is_refused(job, others):
    approve(job, others[0])
    ApprovalDecision.objects.update(verdict=Verdict.BREAK_GLASS)
    assert nothing_ran(job, "not_approved")


def test_breaking_glass_is_not_replayed_for_another_request(job, keys, admin):
    genuine = break_glass(job, admin)
    other = request_destroy(keys=keys[1:], actor=admin, reason=REASON)
    ApprovalDecision.objects.filter(pk=genuine.pk).update(request=request_of(other))
    assert nothing_ran(other, "not_approved")
    assert nothing_ran(job, "not_approved")


def test_the_web_process_breaks_no_glass_that_the_policy_in_force_keeps(keys, admin, others):
    stricter = set_policy("destroy", actor=admin)
    approve(stricter, others[0])
    assert work(stricter).state == "succeeded"
    job = request_destroy(keys=keys[:1], actor=admin, reason=REASON)
    web_writes(job, admin)
    assert nothing_ran(job, "approval_void")


def test_nor_for_a_change_of_the_policy_itself(keys, admin):
    change = set_policy("destroy", actor=admin, approvals=0)
    web_writes(change, admin)
    Job.objects.filter(pk=change.pk).update(state="queued", run_after=now())
    assert work(change).error_code == "approval_void"


def test_nor_in_the_name_of_somebody_else_than_the_requester(job, others):
    web_writes(job, others[0])
    assert nothing_ran(job, "not_approved")
    assert alarms() == 1


def test_breaking_glass_counts_as_no_approval(keys, admin, others):
    """Of two approvals that are needed, the requester's own decision is none."""
    stricter = set_policy("destroy", actor=admin, approvals=2)
    approve(stricter, others[0])
    assert work(stricter).state == "succeeded"
    job = request_destroy(keys=keys[:1], actor=admin, reason=REASON)
    web_writes(job, admin)
    approve(job, others[0])
    assert job.state == "awaiting"
    assert nothing_ran(job, "approval_void")


@pytest.mark.parametrize("change", ["deactivated", "without the right", "policy", "expired", "plan"])
def test_what_has_changed_since_the_glass_was_broken_stops_the_job(job, keys, admin, others, change):
    break_glass(job, admin)
    if change == "deactivated":
        User.objects.filter(pk=admin.user_id).update(is_active=False)
    elif change == "without the right":
        User.objects.filter(pk=admin.user_id).update(role="custodian")
    elif change == "policy":
        stricter = set_policy("destroy", actor=admin)
        approve(stricter, others[0])
        assert work(stricter).state == "succeeded"
    elif change == "plan":
        Key.objects.filter(pk=keys[0].pk).update(name="another")
    if change == "expired":
        with time_machine.travel(now() + timedelta(hours=73), tick=True):
            assert nothing_ran(job, "approval_void")
    else:
        assert nothing_ran(job, "") or job.error_code in {"approval_void", "permission"}


def test_a_refused_request_is_not_run_by_breaking_glass(job, admin, others):
    approve(job, others[0], verdict=Verdict.REFUSE, reason="No")
    web_writes(job, admin)
    Job.objects.filter(pk=job.pk).update(state="queued", run_after=now(), finished_at=None)
    work(job)
    assert job.state == "failed"
    assert set(Key.objects.values_list("state", flat=True)) == {"present"}


@pytest.mark.parametrize("who", ["another", "the same"])
def test_a_forged_review_closes_nothing(job, admin, others, who):
    decision = break_glass(job, admin)
    reviewer = admin if who == "the same" else others[0]
    BreakGlassReview.objects.create(
        decision=decision,
        user_id=reviewer.user_id,
        user_name=reviewer.name,
        comment="Fine",
        reviewed_at=now(),
        signature=bytes(64),
    )
    assert [each.pk for each in list_unreviewed()] == [decision.pk]
