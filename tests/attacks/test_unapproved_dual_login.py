"""Dual login under a policy: whoever wants to be without a second administrator needs the approvals of others."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.test import Client

from jobs.engine.approval_checks import ApprovalVoid
from kmes.accounts.dual_login.models import DualLoginPolicy, SecondSignIn
from kmes.accounts.dual_login.policy import Policy, read_policy, save_policy
from kmes.accounts.models import User
from kmes.accounts.roles.services import RoleValues, create_role
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from logging_reports.models import LogEntry
from tests.accounts.dual_login_pages import POLICY, make_user, turn_on
from tests.jobs.approving import REASON, approve, request_of, set_policy
from tests.jobs.changing import apply, ask
from tests.jobs.pages.requesting import asked, text
from tests.logging_reports.harness import log_can_be_flushed
from tests.people import static_root

__all__ = ["log_can_be_flushed", "static_root"]
pytestmark = pytest.mark.django_db(transaction=True)

OFF = {"roles": [], "actions": [], "second_roles": ["admin"], "minutes": "15"}


@pytest.fixture
def team(db):
    """Three administrators, each with an app; a policy on dual login is in force."""
    users = [make_user(name) for name in ("ada", "bob", "cy")]
    set_policy("change_dual_login", actor=Actor.from_user(users[0]))
    return [Actor.from_user(each) for each in users]


@pytest.fixture
def pages(team, static_root, settings):
    """The browser of the first one. Dual login demands nothing yet, and no second factor is asked for again."""
    settings.KMES_STEP_UP_MINUTES = 0
    client = Client()
    client.force_login(User.objects.get(username="ada"))
    return client


def on(**changes):
    return Policy(actions=frozenset({"forwarding"}), lock_version=read_policy().lock_version, **changes)


def turn_on_with_approval(team):
    job = approve(ask(lambda: save_policy(on(), actor=team[0]), actor=team[0]), team[1])
    apply(job, team[0])
    return job


def test_the_page_asks_for_a_reason_and_leads_to_a_request(pages, team):
    assert "Others have to approve this first" in text(pages.get(POLICY))
    sent = {**OFF, "actions": ["forwarding"], "lock_version": "0"}
    refused = pages.post(POLICY, sent)
    assert refused.status_code == 422
    assert "Approvers need a reason" in text(refused)
    job = asked(pages.post(POLICY, {**sent, "approval_reason": REASON}), "change_dual_login")
    assert not read_policy().is_on
    plan = request_of(job).plan
    assert ["State", "Off → On"] in plan["facts"]
    assert ["These actions", "– → Changing where the log is forwarded to"] in plan["facts"]
    assert pages.post(f"/approvals/{job.code}/apply/").status_code == 409
    approve(job, team[1])
    assert pages.post(f"/approvals/{job.code}/apply/").status_code == 302
    assert read_policy().actions == {"forwarding"}
    assert LogEntry.objects.get(event="access.dual_login_changed").actor_name == "ada"


@pytest.mark.parametrize(
    "changes",
    [
        {"actions": frozenset()},
        {"second_roles": frozenset({"admin", "auditor"})},
        {"minutes": 60},
        {"roles": frozenset({"operator"})},
    ],
    ids=["off", "weaker seconds", "longer", "more"],
)
def test_no_change_of_the_settings_is_made_alone(changes, team):
    turn_on_with_approval(team)
    before = read_policy()
    wanted = {"actions": before.actions, "lock_version": before.lock_version, **changes}
    with pytest.raises(ConflictError, match="policy asks for approvals"):
        save_policy(Policy(**wanted), actor=team[0])
    assert read_policy() == before
    job = ask(lambda: save_policy(Policy(**wanted), actor=team[0]), actor=team[0])
    with pytest.raises(ConflictError, match="lacks approvals"):
        apply(job, team[0])
    approve(job, team[1])
    apply(job, team[0])
    assert read_policy() != before


def test_turning_it_off_warns_approvers_and_signs_everybody_out_only_when_applied(team):
    turn_on_with_approval(team)
    job = ask(
        lambda: save_policy(Policy(lock_version=read_policy().lock_version), actor=team[0]),
        actor=team[0],
    )
    assert request_of(job).plan["warnings"] == ["After that, no action needs a second administrator."]
    assert read_policy().is_on
    apply(approve(job, team[1]), team[0])
    assert not read_policy().is_on
    assert not SecondSignIn.objects.exists()


@pytest.mark.parametrize("change", ["saved", "forged", "role"])
def test_an_approved_change_is_void_when_the_settings_or_a_role_changed_since(change, team):
    role = create_role(values=RoleValues("Seconds", "", frozenset(), needs_second_factor=False), actor=team[2])
    turn_on_with_approval(team)
    wanted = on(second_roles=frozenset({"admin", role.code}))
    job = approve(ask(lambda: save_policy(wanted, actor=team[0]), actor=team[0]), team[1])
    if change == "saved":
        other = approve(ask(lambda: save_policy(on(minutes=30), actor=team[0]), actor=team[0]), team[1])
        apply(other, team[0])
    elif change == "forged":
        DualLoginPolicy.objects.update(minutes=59)
    else:
        role.name = "Renamed"
        role.save()
    with pytest.raises(ApprovalVoid, match="changed since it was approved"):
        apply(job, team[0])


def test_the_command_of_the_server_is_under_no_policy(team):
    turn_on_with_approval(team)
    call_command("dual_login_off")
    assert not read_policy().is_on


def test_without_a_policy_it_is_changed_as_before(db):
    users = [make_user(name) for name in ("ada", "bob", "cy")]
    turn_on(users[0])
    assert read_policy().is_on
