"""Policies for a scope: no move, no tag and no row in the database takes a key out of one."""

from __future__ import annotations

import pytest

from jobs.approvals.models import ApprovalPolicy, ApprovalRequest
from jobs.engine.approval_policies import StrangePolicy, requirements_of
from jobs.kinds.destroy.spec import request_destroy
from jobs.models import Job
from keygroups.models import Key, KeyGroup
from keygroups.services import create_group, update_group
from keygroups.values import GroupValues
from kmes.core.clock import now
from tests.jobs.approving import REASON, make_approvers, set_policy
from tests.jobs.builders import make_group, make_keys, work
from tests.jobs.conftest import admin, credential, device, hsm_token
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "credential", "device", "hsm_token", "log_can_be_flushed"]

pytestmark = pytest.mark.django_db(transaction=True)
OTHER_VAULT = "https://localhost:7002"


def values(credential, **changed):
    return GroupValues(
        **{
            "name": "payments",
            "credential": credential,
            "vault": "https://localhost:7001",
            "key_spec": "P-256",
            "tags": {"stage": "live", "team": "core"},
            **changed,
        }
    )


@pytest.fixture
def group(credential, admin):
    """A key group with two tags, made by the service, which logs it."""
    return create_group(values=values(credential), actor=admin)


@pytest.fixture
def elsewhere(credential):
    return make_group(credential, OTHER_VAULT, name="elsewhere")


@pytest.fixture
def keys(group, admin):
    make_approvers("ben", "cleo")
    return make_keys(group, "k1", "k2", actor=admin)


def waits(key, admin):
    """Whether the key's destruction waits for approvals, and the worker alone would refuse it, too."""
    job = request_destroy(keys=[key], actor=admin, reason=REASON)
    if job.state != "awaiting":
        return False
    ApprovalRequest.objects.filter(job=job).delete()
    Job.objects.filter(pk=job.pk).update(state="queued", run_after=now())
    return work(job).error_code == "approval_void" and not Key.objects.exclude(state="present").exists()


@pytest.mark.parametrize("kind", ["vault", "tag"])
def test_a_group_that_its_manager_moves_or_tags_otherwise_stays_under_the_policy(kind, keys, group, credential, admin):
    scope = {"vault": "https://LOCALHOST:7001/", "tag": "stage=live"}[kind]
    set_policy("destroy", actor=admin, scope_kind=kind, scope=scope)
    changed = {"vault": {"vault": OTHER_VAULT}, "tag": {"tags": {"team": "core"}}}[kind]
    moved = update_group(
        group=group, values=values(credential, **changed), lock_version=group.lock_version, actor=admin
    )
    assert not any(place.is_in(kind, scope) for place in moved.places)
    assert waits(keys[0], admin)


@pytest.mark.parametrize("column", ["vault", "tags", "key"])
def test_a_row_that_is_moved_in_the_database_stays_under_the_policy(column, keys, group, elsewhere, admin):
    kind, scope = ("tag", "stage=live") if column == "tags" else ("vault", group.vault.url)
    set_policy("destroy", actor=admin, scope_kind=kind, scope=scope)
    if column == "key":
        Key.objects.filter(pk=keys[0].pk).update(group=elsewhere)
    elif column == "vault":
        KeyGroup.objects.filter(pk=group.pk).update(vault=elsewhere.vault)
    else:
        KeyGroup.objects.filter(pk=group.pk).update(tags={})
    assert waits(Key.objects.get(pk=keys[0].pk), admin)


def test_a_group_that_is_moved_while_its_job_waits_is_not_worked_on(keys, group, elsewhere, admin):
    set_policy("destroy", actor=admin, scope_kind="vault", scope=group.vault.url)
    job = request_destroy(keys=keys[:1], actor=admin, reason=REASON)
    KeyGroup.objects.filter(pk=group.pk).update(vault=elsewhere.vault)
    Job.objects.filter(pk=job.pk).update(state="queued", run_after=now())
    assert work(job).error_code == "not_approved"
    assert not Key.objects.exclude(state="present").exists()


def test_what_the_log_does_not_tell_of_lies_in_each_scope(keys, group, elsewhere, admin):
    """A key or a key group that somebody wrote into the database, or made before there were log rows."""
    set_policy("destroy", actor=admin, scope_kind="vault", scope=elsewhere.vault.url)
    # Copied past the console under another id.
    copied = Key.objects.get(pk=keys[0].pk)
    copied.pk, copied.name = None, "copy"
    copied.id = Key._meta.get_field("id").get_default()
    copied.save(force_insert=True)
    assert waits(copied, admin)
    # Another vault than the policy's, and the log tells it: nothing waits.
    assert request_destroy(keys=keys[:1], actor=admin).state == "queued"


def test_the_spelling_of_a_vault_makes_no_difference(keys, elsewhere, credential, admin):
    """One vault that rows and the log spell otherwise: in capitals, and with a slash at the end."""
    spelled = make_group(credential, "https://LOCALHOST:7003/", name="spelled")
    key = make_keys(spelled, "k3", actor=admin)[0]
    set_policy("destroy", actor=admin, scope_kind="vault", scope="https://localhost:7003")
    assert waits(key, admin)
    KeyGroup.objects.filter(pk=spelled.pk).update(vault=elsewhere.vault)
    assert waits(Key.objects.get(pk=key.pk), admin)


@pytest.mark.parametrize("change", ["weakened", "taken away", "moved", "made up", "copied", "swapped"])
def test_a_policy_for_a_scope_that_is_not_as_it_was_written_lets_nothing_run(change, keys, group, elsewhere, admin):
    set_policy("destroy", actor=admin, scope_kind="group", scope=group.name)
    policy = ApprovalPolicy.objects.get()
    if change == "weakened":
        ApprovalPolicy.objects.update(approvals=0)
    elif change == "taken away":
        ApprovalPolicy.objects.all().delete()
    elif change == "swapped":
        # Both are told by the log, with these numbers.
        set_policy("destroy", actor=admin, approvals=2, scope_kind="group", scope=elsewhere.name)
        other = ApprovalPolicy.objects.get(approvals=2)
        for row, value in ((policy, "between"), (other, policy.scope_value), (policy, other.scope_value)):
            ApprovalPolicy.objects.filter(pk=row.pk).update(scope_value=value)
    elif change == "moved":
        ApprovalPolicy.objects.update(scope_value=str(elsewhere.pk))
    else:
        policy.pk, policy.number = None, policy.number + (change == "made up")
        policy.scope_value = policy.scope_value if change == "made up" else str(elsewhere.pk)
        policy.approvals = 0
        policy.save(force_insert=True)
    with pytest.raises(StrangePolicy):
        requirements_of(["destroy"])
    with pytest.raises(StrangePolicy):
        request_destroy(keys=keys[:1], actor=admin, reason=REASON)
