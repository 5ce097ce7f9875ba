"""Approvals: an attacker who writes to the database, and users who try to be several, get nothing run."""

from __future__ import annotations

import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from jobs.approvals.models import ApprovalDecision, ApprovalPolicy, ApprovalRequest, Verdict
from jobs.engine.approval_policies import StrangePolicy
from jobs.engine.approver_accounts import find_reachable
from jobs.engine.authenticity import NotGenuine
from jobs.kinds.destroy.spec import request_destroy
from jobs.models import Job, JobTarget
from keygroups.models import Key
from kmes.accounts.company_sign_on.identities import find_user
from kmes.accounts.company_sign_on.models import SignOnIdentity
from kmes.accounts.company_sign_on.protocol import Proven
from kmes.accounts.company_sign_on.selectors import find_provider
from kmes.accounts.company_sign_on.services import save as save_provider
from kmes.accounts.company_sign_on.unlinking import unlink
from kmes.accounts.models import User
from kmes.accounts.services import (
    UserValues,
    create_user,
    deactivate_user,
    reactivate_user,
    reset_password,
    update_user,
)
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import PermissionRefused
from kmes.core.secret_types import SecretText
from logging_reports.models import LogEntry, Notice
from tests.accounts.sign_on_pages import values
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
    """Two keys; two users have to approve their destruction."""
    made = make_keys(group, "k1", "k2", actor=admin)
    set_policy("destroy", actor=admin, approvals=2)
    return made


@pytest.fixture
def job(keys, admin):
    """A job that waits for its approvals."""
    return request_destroy(keys=keys[:1], actor=admin, reason=REASON)


def put_into_queue(job):
    """What somebody with the database's password does."""
    Job.objects.filter(pk=job.pk).update(state="queued", run_after=now())


def forge(job, actor, **values):
    """Write the row of a decision; what is not given is as a genuine one."""
    fields = {"user_id": actor.user_id, "user_name": actor.name, "verdict": "approve", "decided_at": now()}
    signature = Ed25519PrivateKey.generate().sign(b"whatever")
    return ApprovalDecision.objects.create(request=request_of(job), **{**fields, "signature": signature, **values})


def was_refused(job, code="not_approved"):
    """Whether a worker does nothing for the job, and raises the alarm."""
    put_into_queue(job)
    work(job)
    assert set(Key.objects.values_list("state", flat=True)) == {"present"}
    assert not LogEntry.objects.filter(event="job.started", job_id=job.pk).exists()
    assert Notice.objects.filter(event="job.not_genuine").count() == 1
    return (job.state, job.error_code) == ("failed", code)


def test_a_job_that_is_put_into_the_queue_without_approvals_is_refused(job):
    assert was_refused(job)
    assert "without the approvals" in job.error_what


def test_forged_approvals_count_for_nothing(job, others):
    for each in others:
        forge(job, each)
    assert was_refused(job)


def test_an_approval_is_not_counted_for_another_user_or_job(job, keys, admin, others):
    approve(job, others[0])
    genuine = ApprovalDecision.objects.get()
    forge(job, others[1], signature=genuine.signature)
    other = request_destroy(keys=keys[1:], actor=admin, reason=REASON)
    for each in others:
        forge(other, each, signature=genuine.signature, decided_at=genuine.decided_at)
    assert was_refused(job)
    put_into_queue(other)
    assert work(other).error_code == "not_approved"


def make_colleague(admin):
    return create_user(username="eve", values=UserValues(role="admin"), actor=admin)[0]


def promote_colleague(admin):
    [keeper] = make_approvers("kim", role="custodian")
    user = User.objects.get(pk=keeper.user_id)
    update_user(user=user, values=UserValues(role="admin"), actor=admin)
    return user


def take_over_password(admin):
    user = User.objects.get(username="ben")
    reset_password(user=user, actor=admin)
    return user


def wake_up(admin):
    user = User.objects.get(username="ben")
    deactivate_user(user=user, actor=admin)
    reactivate_user(user=user, actor=admin)
    return user


def come_from_own_provider(admin):
    """The requester leads company sign-on to a provider of their own, which says whatever they like."""
    provider = values(SimpleNamespace(issuer="https://own.example"), group_roles={"any": "admin"}, may_link=True)
    save_provider(provider, SecretText("secret"), actor=admin)
    proven = Proven("https://own.example", "ben", {"preferred_username": "ben", "groups": ["any"]})
    return find_user(find_provider(), proven)


def unlink_from_the_provider(admin):
    """An account of the requester's at the provider could be linked instead."""
    user = User.objects.get(username="ben")
    SignOnIdentity.objects.create(user=user, issuer="https://idp.example", subject="ben", seal=b"-", added_at=now())
    unlink(user=user, actor=admin)
    return user


@pytest.mark.parametrize(
    "take_over",
    [make_colleague, promote_colleague, take_over_password, wake_up, come_from_own_provider, unlink_from_the_provider],
)
def test_an_account_that_the_requester_made_or_took_over_decides_nothing(take_over, job, admin):
    user = take_over(admin)
    user.refresh_from_db()
    with pytest.raises(PermissionRefused, match="less than 30 days ago"):
        approve(job, Actor.from_user(user))
    with time_machine.travel(now() + timedelta(days=31), tick=True):
        assert user.pk not in find_reachable(admin.user_id, ["destroy"])


def test_an_account_that_was_taken_over_after_its_approval_counts_no_more(job, admin, others):
    approve(job, others[0])
    take_over_password(admin)
    assert approve(job, others[1]).state == "awaiting"
    put_into_queue(job)
    work(job)
    assert (job.state, job.error_code) == ("failed", "approval_void")
    assert set(Key.objects.values_list("state", flat=True)) == {"present"}


def test_a_colleague_who_was_invited_before_the_policy_decides(group, admin):
    keys = make_keys(group, "k1", actor=admin)
    colleague = make_colleague(admin)
    set_policy("destroy", actor=admin)
    # Making the policy stricter does not begin it anew.
    later = create_user(username="zoe", values=UserValues(role="admin"), actor=admin)[0]
    set_policy("destroy", actor=admin, expires_hours=24)
    job = request_destroy(keys=keys, actor=admin, reason=REASON)
    with pytest.raises(PermissionRefused):
        approve(job, Actor.from_user(later))
    assert approve(job, Actor.from_user(colleague)).state == "queued"


def test_an_approval_by_the_requester_is_not_counted(job, admin, others):
    approve(job, others[0])
    with pytest.raises(PermissionRefused, match="their own requests"):
        approve(job, admin)
    ApprovalDecision.objects.filter(user_id=others[0].user_id).update(user_id=admin.user_id)
    assert was_refused(job)


CHANGES = {
    "fewer approvals": lambda each: {
        "requirements": [{**each.requirements[0], "approvals": 1}],
    },
    "another role": lambda each: {"requirements": [{**each.requirements[0], "role": "auditor"}]},
    "no requirement": lambda each: {"requirements": []},
    "plan": lambda each: {"plan": {**each.plan, "title": "Destroy nothing"}},
    "reason": lambda _each: {"reason": "Ordered by the board"},
    "expiry": lambda each: {"expires_at": each.expires_at + timedelta(days=30)},
    "digest": lambda _each: {"digest": "0" * 64},
    "signature": lambda _each: {"signature": bytes(64)},
    "signer": lambda _each: {"signer": "worker"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_request_that_was_changed_is_refused(job, others, change):
    for each in others:
        approve(job, each)
    ApprovalRequest.objects.filter(job=job).update(**CHANGES[change](request_of(job)))
    assert was_refused(job)


def test_a_request_that_was_changed_is_decided_by_nobody(job, others):
    ApprovalRequest.objects.filter(job=job).update(reason="Ordered by the board")
    with pytest.raises(NotGenuine, match="not as it was made"):
        approve(job, others[0])
    assert not ApprovalDecision.objects.exists()


def test_a_request_that_was_taken_away_does_not_spare_the_approvals(job):
    ApprovalRequest.objects.filter(job=job).delete()
    put_into_queue(job)
    assert work(job).error_code == "approval_void"
    assert set(Key.objects.values_list("state", flat=True)) == {"present"}


def test_approvals_count_for_the_keys_that_were_shown(job, keys, others):
    for each in others:
        approve(job, each)
    JobTarget.objects.filter(job=job).update(key=keys[1])
    assert work(job).error_code == "not_genuine"
    assert set(Key.objects.values_list("state", flat=True)) == {"present"}


def test_a_key_that_changed_between_approval_and_run_stops_it(job, keys, others):
    for each in others:
        approve(job, each)
    Key.objects.filter(pk=keys[0].pk).update(name="another")
    assert work(job).error_code == "approval_void"
    assert set(Key.objects.values_list("state", flat=True)) == {"present"}


def test_a_refused_job_that_is_put_back_is_refused_again(job, others):
    approve(job, others[0])
    approve(job, others[1], verdict=Verdict.REFUSE, reason="No")
    assert was_refused(job, "not_genuine")


def test_a_job_that_ran_is_not_run_again_with_its_approvals(job, keys, others):
    for each in others:
        approve(job, each)
    assert work(job).state == "succeeded"
    Key.objects.filter(pk=keys[0].pk).update(state="present", wrapped_private=keys[0].wrapped_private)
    JobTarget.objects.filter(job=job).update(state="pending")
    put_into_queue(job)
    assert work(job).error_code == "not_genuine"
    assert set(Key.objects.values_list("state", flat=True)) == {"present"}


@pytest.mark.parametrize("change", ["taken away", "weakened", "rolled back"])
def test_a_policy_that_is_not_as_it_was_written_lets_nothing_run(job, keys, admin, others, change):
    policies = ApprovalPolicy.objects.filter(action="destroy")
    if change == "rolled back":
        stricter = set_policy("destroy", actor=admin, approvals=1)
        for each in others:
            approve(stricter, each)
        assert work(stricter).state == "succeeded"
        policies.filter(number=2).delete()
    elif change == "taken away":
        policies.delete()
    else:
        policies.update(approvals=0)
    put_into_queue(job)
    assert work(job).error_code == "strange_policy"
    assert Notice.objects.filter(event="job.not_genuine").count() == 1
    with pytest.raises(StrangePolicy):
        request_destroy(keys=keys[1:], actor=admin)
    assert set(Key.objects.values_list("state", flat=True)) == {"present"}


def test_a_policy_that_the_database_makes_up_is_none(keys, admin):
    ApprovalPolicy.objects.create(
        action="destroy",
        number=2,
        approvals=0,
        role="admin",
        expires_hours=1,
        changed_by="ada",
        changed_at=now(),
        signature=bytes(64),
    )
    with pytest.raises(StrangePolicy):
        request_destroy(keys=keys, actor=admin)


def test_two_who_approve_at_the_same_moment_make_one_run(job, others):
    met, failures = threading.Barrier(2), []

    def decide(actor):
        try:
            met.wait(60)
            approve(Job.objects.get(pk=job.pk), actor)
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=(each,)) for each in others]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []
    for _time in range(2):
        work(job)
    assert job.state == "succeeded"
    assert LogEntry.objects.filter(event="key.destroyed", job_id=job.pk).count() == 1
    assert LogEntry.objects.filter(event="job.started", job_id=job.pk).count() == 1
