"""Whose approvals count by a role for a scope: those whose scope covers all that a job works on, by the log, not by rows alone."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
import time_machine

from jobs.approvals.role_uses import Approvers
from jobs.kinds.destroy.spec import request_destroy
from jobs.models import Job
from keygroups.models import Key, KeyGroup
from keygroups.services import create_group, update_group
from keygroups.values import GroupValues
from kmes.accounts.assignments.services import give_role
from kmes.accounts.models import User
from kmes.accounts.roles.services import RoleValues, create_role
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import InputError, PermissionRefused
from tests.jobs.approving import REASON, approve, make_approvers, set_policy
from tests.jobs.builders import make_keys, work
from tests.jobs.conftest import admin, credential, device, hsm_token
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "credential", "device", "hsm_token", "log_can_be_flushed"]
pytestmark = pytest.mark.django_db(transaction=True)

VAULTS = {"own": "https://localhost:7001", "other": "https://localhost:7002"}
TAGS = {"own": {"stage": "live"}, "other": {"stage": "test"}}


def values(credential, name, **changed):
    given = {"name": name, "credential": credential, "vault": VAULTS[name], "key_spec": "P-256", "tags": TAGS[name]}
    return GroupValues(**{**given, **changed})


@pytest.fixture
def groups(credential, admin):
    """Two key groups, in two vaults and with two tags, made by the service, which logs them."""
    return {name: create_group(values=values(credential, name), actor=admin) for name in VAULTS}


@pytest.fixture
def boss(admin):
    """Another administrator, who gives roles and moves groups, and never approves."""
    return make_approvers("boss")[0]


@pytest.fixture
def role(boss):
    """A role that only approves: it has no right, so whoever manages users could give it to anybody."""
    return create_role(values=RoleValues("Deciders", "", frozenset(), needs_second_factor=False), actor=boss).code


def approver(name, role, scopes, boss, everywhere="auditor"):
    """A user with a role for scopes, each as (kind, what it names)."""
    user = User.objects.create_user(name, role=everywhere)
    for kind, scope in scopes:
        give_role(user=user, role=role, scope_kind=kind, scope=scope, actor=boss)
    return Actor.from_user(user)


def scope_of(kind, name):
    return kind, {"vault": VAULTS[name], "group": name, "tag": f"stage={TAGS[name]['stage']}"}[kind]


def counts(job, actor):
    """Whether the page takes a user's approval, and the worker runs the job with it."""
    try:
        approve(job, actor)
    except PermissionRefused:
        # Past the page: put into the queue in the database, with no approval it is refused.
        Job.objects.filter(pk=job.pk).update(state="queued", run_after=now())
        assert work(job).error_code == "not_approved"
        return False
    return work(job).state == "succeeded"


def need_a_decider(role, boss, **more):
    make_approvers("spare-1", "spare-2", role=role)
    set_policy("destroy", actor=boss, role=role, **more)


MATRIX = [
    (kind, held, about)
    for kind, held, about in product(
        ("vault", "group", "tag"), (("own",), ("other",), ("own", "other")), (("own",), ("other",), ("own", "other"))
    )
]


@pytest.mark.parametrize(
    ("kind", "held", "about"), MATRIX, ids=lambda each: each if isinstance(each, str) else "+".join(each)
)
def test_a_role_counts_where_its_scopes_cover_all_that_the_job_works_on(kind, held, about, groups, admin, boss, role):
    need_a_decider(role, boss)
    dora = approver("dora", role, [scope_of(kind, name) for name in held], boss)
    keys = [make_keys(groups[name], f"k-{name}", actor=admin)[0] for name in about]
    job = request_destroy(keys=keys, actor=admin, reason=REASON)
    assert counts(job, dora) == (set(about) <= set(held))


def test_another_role_for_the_scope_does_not_count_nor_the_role_of_another_user(groups, admin, boss, role):
    need_a_decider(role, boss)
    keys = make_keys(groups["own"], "k1", "k2", actor=admin)
    emil = approver("emil", "custodian", [scope_of("vault", "own")], boss)
    assert not counts(request_destroy(keys=keys[:1], actor=admin, reason=REASON), emil)


# --- A requester who chooses the approvers ------------------------------------------------------------
@pytest.mark.parametrize("kind", ["vault", "tag"])
@pytest.mark.parametrize("by", ["requester", "other"])
def test_a_scope_that_the_requester_brought_the_group_into_does_not_count(
    kind, by, groups, credential, admin, boss, role
):
    """Whoever manages the group moves it to where a friend decides. Moved by somebody else, the friend counts."""
    need_a_decider(role, boss)
    friend = approver("fred", role, [scope_of(kind, "other")], boss)
    keys = make_keys(groups["own"], "k1", "k2", actor=admin)
    changed = {"vault": {"vault": VAULTS["other"]}, "tag": {"tags": {**TAGS["own"], **TAGS["other"]}}}[kind]
    if kind == "tag":
        changed["tags"] = TAGS["other"]
    update_group(
        group=groups["own"],
        values=values(credential, "own", **changed),
        lock_version=groups["own"].lock_version,
        actor=admin if by == "requester" else boss,
    )
    assert counts(request_destroy(keys=keys[:1], actor=admin, reason=REASON), friend) == (by == "other")
    with time_machine.travel(now() + timedelta(days=31)):
        assert counts(request_destroy(keys=keys[1:], actor=admin, reason=REASON), friend)


def test_who_has_the_role_elsewhere_is_told_why_it_does_not_count(groups, admin, boss, role):
    need_a_decider(role, boss)
    friend = approver("fred", role, [scope_of("vault", "other")], boss)
    job = request_destroy(keys=make_keys(groups["own"], "k1", actor=admin), actor=admin, reason=REASON)
    with pytest.raises(PermissionRefused, match="covers all that the job works on"):
        approve(job, friend)
    with pytest.raises(PermissionRefused, match="Users with the role Deciders decide"):
        approve(job, approver("gus", "custodian", [], boss))


@pytest.mark.parametrize("column", ["vault", "tags", "key"])
def test_a_row_that_is_changed_in_the_database_brings_no_approver(column, groups, admin, boss, role):
    need_a_decider(role, boss)
    kind = "tag" if column == "tags" else "vault"
    friend = approver("fred", role, [scope_of(kind, "other")], boss)
    keys = make_keys(groups["own"], "k1", actor=admin)
    own, other = groups["own"], groups["other"]
    if column == "vault":
        KeyGroup.objects.filter(pk=own.pk).update(vault=other.vault)
    elif column == "tags":
        KeyGroup.objects.filter(pk=own.pk).update(tags=other.tags)
    else:
        Key.objects.filter(pk=keys[0].pk).update(group=other)
    job = request_destroy(keys=[Key.objects.get(pk=keys[0].pk)], actor=admin, reason=REASON)
    assert not counts(job, friend)


def test_who_decides_on_what_left_their_scope_does_not_count_any_more(groups, credential, admin, boss, role):
    need_a_decider(role, boss)
    dora = approver("dora", role, [scope_of("vault", "own")], boss)
    keys = make_keys(groups["own"], "k1", actor=admin)
    update_group(
        group=groups["own"],
        values=values(credential, "own", vault=VAULTS["other"]),
        lock_version=groups["own"].lock_version,
        actor=boss,
    )
    assert not counts(request_destroy(keys=keys, actor=admin, reason=REASON), dora)


def test_an_approval_ends_with_the_role_for_the_scope(groups, admin, boss, role):
    need_a_decider(role, boss)
    dora = approver("dora", role, [scope_of("vault", "own")], boss)
    keys = make_keys(groups["own"], "k1", actor=admin)
    job = approve(request_destroy(keys=keys, actor=admin, reason=REASON), dora)
    User.objects.get(pk=dora.user_id).assignments.all().delete()
    assert (work(job).state, job.error_code) == ("failed", "approval_void")


def test_a_role_that_the_requester_gave_does_not_count(groups, admin, boss, role):
    need_a_decider(role, boss)
    friend = approver("fred", role, [scope_of("vault", "own")], admin)
    keys = make_keys(groups["own"], "k1", actor=admin)
    assert not counts(request_destroy(keys=keys, actor=admin, reason=REASON), friend)


# --- Which policies are possible ------------------------------------------------------------------------
def test_a_policy_for_a_scope_may_be_fulfilled_by_those_who_have_the_role_there(groups, admin, boss, role):
    for name in ("dora", "emil"):
        approver(name, role, [scope_of("vault", "own")], boss)
    with pytest.raises(InputError, match="Only 0 active users"):
        set_policy("destroy", actor=boss, role=role)
    with pytest.raises(InputError, match="Only 0 active users"):
        set_policy("destroy", actor=boss, role=role, scope_kind="vault", scope=VAULTS["other"])
    set_policy("destroy", actor=boss, role=role, scope_kind="vault", scope=VAULTS["own"])
    keys = make_keys(groups["own"], "k1", actor=admin)
    assert counts(
        request_destroy(keys=keys, actor=admin, reason=REASON), Actor.from_user(User.objects.get(username="dora"))
    )


def test_who_leaves_is_told_of_a_policy_for_a_scope_unless_others_have_its_role_there(groups, admin, boss, role):
    users = make_approvers("dora", "emil", role=role)
    set_policy("destroy", actor=boss, role=role, scope_kind="vault", scope=VAULTS["own"])
    dora = User.objects.get(pk=users[0].user_id)
    gone = User(pk=dora.pk, role="auditor")
    assert len(Approvers().describe(dora, gone)) == 1
    approver("fred", role, [scope_of("vault", "other")], boss)
    assert len(Approvers().describe(dora, gone)) == 1
    approver("gus", role, [scope_of("vault", "own")], boss)
    assert Approvers().describe(dora, gone) == []
