"""Changes of users that others approve: who requests, approves or writes to the database alone gets none made."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from jobs.approvals import changes
from jobs.approvals.models import ApprovalDecision
from jobs.engine.approval_checks import ApprovalVoid
from jobs.engine.authenticity import NotGenuine
from jobs.models import Job
from kmes.accounts.models import CustomRole, User
from kmes.accounts.roles.services import RoleValues, create_role, update_role
from kmes.accounts.services import UserValues, deactivate_user, reset_password, update_user
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, KmesError, PermissionRefused
from kmes.core.guarded_changes import Change, applying
from logging_reports.models import LogEntry, Notice
from tests.jobs.approving import approve, make_approvers, request_of, set_policy
from tests.jobs.builders import work
from tests.jobs.changing import apply, ask, ask_for_role
from tests.jobs.conftest import admin
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "log_can_be_flushed"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def others(admin):
    return make_approvers("ben", "cleo")


@pytest.fixture
def kim(others):
    """An operator, who is to become an administrator."""
    [actor] = make_approvers("kim", role="operator")
    return User.objects.get(pk=actor.user_id)


@pytest.fixture
def job(kim, admin):
    """A request that kim becomes an administrator; one other administrator has to approve it."""
    set_policy("change_users", actor=admin)
    return ask_for_role("kim", "admin", actor=admin)


def role_of(user):
    return User.objects.values_list("role", flat=True).get(pk=user.pk)


def refuse(job, actor, error):
    """Whether applying is refused with this error, and nothing was changed."""
    with pytest.raises(error) as refused:
        apply(job, actor)
    assert User.objects.get(username="kim").role == "operator"
    assert not LogEntry.objects.filter(event="user.updated").exists()
    return str(refused.value)


def test_a_change_passes_nowhere_without_its_request(kim, admin, job):
    with pytest.raises(ConflictError, match="A policy asks for approvals"):
        update_user(user=kim, values=UserValues("admin"), actor=admin)
    with pytest.raises(ConflictError), applying(Change("user.update", {**job.params["values"], "role": "custodian"})):
        update_user(user=kim, values=UserValues("admin"), actor=admin)
    with pytest.raises(ConflictError):
        reset_password(user=kim, actor=admin)
    assert role_of(kim) == "operator"


def test_requesters_approve_nothing_of_their_own(job, admin):
    with pytest.raises(PermissionRefused):
        approve(job, admin)
    assert "lacks approvals" in refuse(job, admin, ConflictError)


def test_approvers_do_not_apply_it(job, others):
    approve(job, others[0])
    for other in others:
        refuse(job, other, PermissionRefused)


def test_a_forged_approval_is_an_alarm(job, admin, others):
    ApprovalDecision.objects.create(
        request=request_of(job),
        user_id=others[0].user_id,
        user_name="ben",
        verdict="approve",
        decided_at=now(),
        signature=Ed25519PrivateKey.generate().sign(b"whatever"),
    )
    refuse(job, admin, NotGenuine)
    assert Notice.objects.filter(event="approval.not_genuine").count() == 1


def test_another_role_in_the_approved_row_is_an_alarm(job, admin, others):
    approve(job, others[0])
    params = {**job.params, "values": {**job.params["values"], "role": "custodian"}}
    Job.objects.filter(pk=job.pk).update(params=params)
    refuse(job, admin, NotGenuine)
    assert LogEntry.objects.filter(event="approval.not_genuine").count() == 1


def test_a_worker_applies_nothing_that_came_into_its_queue(job, kim, others):
    approve(job, others[0])
    Job.objects.filter(pk=job.pk).update(state="queued", run_after=now())
    assert work(job).error_code == "not_genuine"
    assert role_of(kim) == "operator"
    assert Notice.objects.filter(event="job.not_genuine").count() == 1


def test_a_change_that_was_applied_is_not_applied_again(job, kim, admin, others):
    approve(job, others[0])
    apply(job, admin)
    assert role_of(kim) == "admin"
    User.objects.filter(pk=kim.pk).update(role="operator")
    Job.objects.filter(pk=job.pk).update(state="awaiting")
    with pytest.raises(NotGenuine):
        apply(job, admin)
    assert role_of(kim) == "operator"


def deactivate_approver(_admin, others):
    deactivate_user(user=User.objects.get(pk=others[0].user_id), actor=others[1])


def move_the_user(_admin, _others):
    User.objects.filter(username="kim").update(is_active=False)


def ask_for_more(admin, others):
    stricter = set_policy("change_users", actor=admin, approvals=2)
    approve(stricter, others[0])
    work(stricter)


@pytest.mark.parametrize("meanwhile", [deactivate_approver, move_the_user, ask_for_more])
def test_what_changed_after_the_approval_ends_it(job, admin, others, meanwhile):
    approve(job, others[0])
    meanwhile(admin, others)
    refuse(job, admin, KmesError)


def test_a_role_that_gained_rights_meanwhile_is_another_plan(kim, admin, others):
    watch = create_role(values=RoleValues("Watch", "", frozenset({"log.read"}), needs_second_factor=False), actor=admin)
    set_policy("change_users", actor=admin)
    job = ask_for_role("kim", watch.code, actor=admin)
    approve(job, others[0])
    more = RoleValues("Watch", "", frozenset({"log.read", "key.destroy"}), needs_second_factor=False)
    update_role(code=watch.code, values=more, lock_version=CustomRole.objects.get().lock_version, actor=admin)
    assert "changed since it was approved" in refuse(job, admin, ApprovalVoid)


def test_a_requester_who_lost_the_right_applies_nothing(job, admin, others):
    approve(job, others[0])
    User.objects.filter(pk=admin.user_id).update(role="operator")
    refuse(job, admin, PermissionRefused)


def test_a_request_that_expired_is_not_applied(job, admin, others):
    approve(job, others[0])
    with time_machine.travel(now() + timedelta(hours=73)):
        assert "expired" in refuse(job, admin, ApprovalVoid)


def test_a_crash_while_it_is_applied_leaves_all_as_it_was(job, kim, admin, others, monkeypatch):
    approve(job, others[0])
    with monkeypatch.context() as broken:
        broken.setattr(changes.lifecycle, "end_applied", lambda _job: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            apply(job, admin)
    assert role_of(kim) == "operator"
    apply(job, admin)
    assert role_of(kim) == "admin"


def run_at_once(*acts):
    """Run these in threads of their own; return the errors that people are told."""
    told = []

    def run(act):
        try:
            act()
        except KmesError as error:
            told.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return told


def test_two_approvers_and_two_clicks_at_once_make_it_once(job, kim, admin, others):
    assert run_at_once(*(lambda other=other: approve(Job.objects.get(pk=job.pk), other) for other in others)) == []
    told = run_at_once(*(lambda: apply(Job.objects.get(pk=job.pk), admin) for _click in range(2)))
    assert [type(each) for each in told] == [ConflictError]
    assert role_of(kim) == "admin"
    assert LogEntry.objects.filter(event="user.updated").count() == 1
    assert LogEntry.objects.filter(event="job.finished", job_id=job.pk).count() == 1


def test_whoever_was_made_by_the_requester_does_not_count(admin, others):
    set_policy("change_users", actor=admin)
    job = ask(lambda: reset_password(user=User.objects.get(username="ben"), actor=admin), actor=admin)
    approve(job, others[1])
    apply(job, admin)
    job = ask(lambda: reset_password(user=User.objects.get(username="cleo"), actor=admin), actor=admin)
    with pytest.raises(PermissionRefused, match="The requester made this account"):
        approve(job, Actor.from_user(User.objects.get(username="ben")))
