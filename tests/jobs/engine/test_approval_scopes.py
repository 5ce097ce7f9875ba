"""Policies for a scope: jobs in it need their approvals besides those that are needed everywhere, and no other job does."""

from __future__ import annotations

import pytest

from jobs.engine.approval_policies import describe_all, requirements_of
from jobs.kinds.destroy.spec import request_destroy
from jobs.kinds.many_groups.spec import request_many
from kmes.accounts.permissions import conditions_of
from kmes.accounts.rights import Right
from kmes.core.errors import ConflictError, InputError
from logging_reports.models import LogEntry
from tests.jobs.approving import REASON, approve, make_approvers, request_of, set_policy
from tests.jobs.builders import make_group, make_keys, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "credential", "device", "group", "hsm_token", "log_can_be_flushed"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def others(admin):
    return make_approvers("ben", "cleo")


@pytest.fixture
def elsewhere(credential):
    """A key group in another vault."""
    return make_group(credential, "https://kv-other.vault.azure.net", name="elsewhere")


def test_jobs_in_the_scope_need_approvals_and_others_do_not(group, elsewhere, admin, others):
    inside = make_keys(group, "k1", "k2", actor=admin)
    outside = make_keys(elsewhere, "k3", "k4", actor=admin)
    # Spelled otherwise, as somebody might paste it.
    set_policy("destroy", actor=admin, scope_kind="vault", scope=f"{group.vault.url.upper()}/")
    assert work(request_destroy(keys=outside[:1], actor=admin)).state == "succeeded"
    job = request_destroy(keys=inside[:1], actor=admin, reason=REASON)
    assert [each["scope_value"] for each in request_of(job).requirements] == [group.vault.url.lower()]
    approve(job, others[0])
    assert work(job).state == "succeeded"
    # One key in the scope is enough.
    both = request_destroy(keys=[inside[1], outside[1]], actor=admin, reason=REASON)
    assert both.state == "awaiting"
    said = f"Destroy key material here (key vault {group.vault.name}): 1 approval by a user with the role Administrator"
    for places, sentences in (((group, group.vault), [said]), ((elsewhere, elsewhere.vault), [])):
        for place in places:
            assert conditions_of([Right.KEY_DESTROY], place) == {Right.KEY_DESTROY: sentences}
    set_policy("cloud_delete", actor=admin, scope_kind="group", scope=group.name)
    for groups, state in (([elsewhere], "queued"), ([elsewhere, group], "awaiting")):
        assert request_many(kind="cloud_delete", groups=groups, actor=admin, reason=REASON).state == state


def test_all_policies_that_hold_have_to_be_fulfilled(group, admin, others):
    keys = make_keys(group, "k1", actor=admin)
    set_policy("destroy", actor=admin)
    # Adding one beside it makes it stricter, so it needs nobody.
    assert set_policy("destroy", actor=admin, approvals=2, scope_kind="group", scope=group.name).state == "succeeded"
    job = request_destroy(keys=keys, actor=admin, reason=REASON)
    assert len(request_of(job).requirements) == 2
    assert approve(job, others[0]).state == "awaiting"
    assert approve(job, others[1]).state == "queued"
    assert work(job).state == "succeeded"


def test_ending_a_policy_needs_its_own_approvals(group, admin, others):
    set_policy("destroy", actor=admin)
    set_policy("destroy", actor=admin, approvals=2, scope_kind="group", scope=group.name)
    ends = set_policy("destroy", actor=admin, approvals=0, scope_kind="group", scope=group.name)
    assert ends.state == "awaiting"
    assert [each["approvals"] for each in request_of(ends).requirements] == [2]
    for each in others:
        approve(ends, each)
    assert work(ends).state == "succeeded"
    assert [each.scope_kind for each in requirements_of(["destroy"])] == [""]
    row = LogEntry.objects.filter(event="approval.policy_changed").latest("sequence")
    assert "key group payments" in row.message
    assert "changed from: 2 approvals" in row.message
    # The one for everywhere needs its own, too.
    assert set_policy("destroy", actor=admin, approvals=0).state == "awaiting"


def test_what_was_approved_under_one_policy_counts_for_another_that_asks_from_more_on(group, admin, others):
    keys = make_keys(group, "k1", "k2", "k3", actor=admin)
    set_policy("destroy", actor=admin, approvals=2, least=3)
    set_policy("destroy", actor=admin, scope_kind="group", scope=group.name)
    job = request_destroy(keys=keys[:2], actor=admin, reason=REASON)
    assert len(request_of(job).requirements) == 1
    approve(job, others[0])
    assert work(job).state == "succeeded"
    third = request_destroy(keys=keys[2:], actor=admin, reason=REASON)
    assert sorted(each["approvals"] for each in request_of(third).requirements) == [1, 2]


def test_a_scope_has_to_exist_and_an_action_to_be_about_keys(group, admin, others):
    with pytest.raises(InputError, match="holds everywhere"):
        set_policy("change_users", actor=admin, scope_kind="group", scope=group.name)
    with pytest.raises(InputError, match="no such scope"):
        set_policy("destroy", actor=admin, scope_kind="vault", scope="kv-none")
    # The log masks such a value, so it could not tell of the policy.
    group.tags = {"password": "example"}
    group.save(update_fields=["tags"])
    with pytest.raises(InputError, match="no such scope"):
        set_policy("destroy", actor=admin, scope_kind="tag", scope="password=example")
    set_policy("destroy", actor=admin, scope_kind="group", scope=group.name)
    with pytest.raises(ConflictError, match="already"):
        set_policy("destroy", actor=admin, approvals=2, scope_kind="group", scope=str(group.pk), adds=True)
    assert describe_all(requirements_of(["destroy"])) == [
        "Destroy key material here (key group payments): 1 approval by a user with the role Administrator"
    ]
