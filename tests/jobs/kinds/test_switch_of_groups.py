"""One job that enables or disables versions of several key groups: each by itself, and under the policies of each."""

from __future__ import annotations

import pytest

from jobs.engine import lifecycle
from jobs.kinds.set_enabled.spec import request_switch
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from jobs.pages.progress import describe_steps_and_keys
from jobs.planning import blockers
from jobs.services import request_retry
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from tests.jobs.approving import REASON, approve, make_approvers, set_policy
from tests.jobs.builders import make_group, make_keys, messages, work

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def groups(group, credential, azure_stand_in):
    """Two groups in one vault."""
    return [group, make_group(credential, azure_stand_in.vault_url("kv-premium"), name="refunds")]


@pytest.fixture
def versions(groups, admin):
    """The current version of each group."""
    keys = [make_keys(group, f"{group.name}-1", actor=admin)[0] for group in groups]
    assert work(request_synchronize(keys=keys, actor=admin)).state == "succeeded"
    return list(CloudVersion.objects.order_by("azure_name").select_related("key__group__vault", "group"))


def _disable(versions, admin, **more):
    return request_switch(versions=versions, enabled=False, actor=admin, **more)


def _enabled(vault, versions):
    return [vault.client.get_key(each.azure_name, each.azure_version).properties.enabled for each in versions]


def test_versions_of_several_groups_are_disabled_and_enabled_by_one_job(versions, admin, vault):
    job = work(_disable(versions, admin))
    assert (job.state, job.subject, job.group) == ("succeeded", "2 keys in 2 key groups", None)
    assert _enabled(vault, versions) == [False, False]
    assert set(CloudVersion.objects.values_list("state", flat=True)) == {"disabled"}
    assert list(job.steps.order_by("subject").values_list("name", "subject", "state")) == [
        ("disable_version", "payments", "done"),
        ("disable_version", "refunds", "done"),
    ]
    assert messages(job)[-1] == "Successfully updated 2 HSM protected key(s)"
    assert describe_steps_and_keys(job, steps=(1, 1), keys=(2, 1)) == "1 of 2 keys, 1 of 1 step"
    job.finished_at, job.state = None, "running"
    assert describe_steps_and_keys(job, steps=(1, 1), keys=(2, 1)) == "1 of 2 keys, 1 of 2 steps"
    again = [CloudVersion.objects.select_related("key__group__vault").get(pk=each.pk) for each in versions]
    assert work(request_switch(versions=again, enabled=True, actor=admin)).state == "succeeded"
    assert _enabled(vault, versions) == [True, True]


def test_a_group_that_fails_does_not_hold_up_the_other_and_is_retried_alone(versions, admin, vault):
    vault.client.begin_delete_key("payments").wait()
    job = work(_disable(versions, admin))
    assert job.state == "partly_failed"
    assert dict(job.targets.values_list("key__name", "state")) == {"payments-1": "failed", "refunds-1": "done"}
    assert "is deleted, with all its versions" in job.targets.get(key__name="payments-1").detail
    assert _enabled(vault, versions[1:]) == [False]
    vault.client.begin_recover_deleted_key("payments").wait()
    again = work(request_retry(job=job, actor=admin))
    assert (again.state, again.subject) == ("succeeded", "payments-1")
    assert _enabled(vault, versions) == [False, False]


def test_a_group_that_is_busy_waits_while_the_other_is_done(groups, versions, admin, vault):
    job = _disable(versions, admin)
    other = Job.objects.create(
        kind="check_drift",
        actor_name="ada",
        trigger="user",
        group=groups[0],
        azure_lock=groups[0].azure_lock,
        run_after=now(),
    )
    held = lifecycle.claim(other.pk, owner="somebody else")
    assert work(job).state == "queued"
    assert "payments" in job.waiting_for
    assert _enabled(vault, versions) == [True, False]
    assert str(job) in blockers.why_not_rotate(KeyGroup.objects.get(pk=groups[1].pk))
    lifecycle.finish(held, "succeeded")
    Job.objects.filter(pk=job.pk).update(run_after=job.created_at)
    assert work(job).state == "succeeded"
    assert _enabled(vault, versions) == [False, False]


def test_others_approve_one_job_for_all_of_its_groups(versions, admin, vault):
    ben = make_approvers("ben")[0]
    set_policy("set_enabled", actor=admin)
    job = _disable(versions, admin, reason=REASON)
    plan = job.approval_request.plan
    assert job.state == "awaiting"
    assert any("payments-1, refunds-1" in effect for effect in plan["effects"])
    assert [name for name, _place in plan["facts"]] == ["Keys", "payments", "refunds"]
    assert work(job).state == "awaiting"
    assert work(approve(job, ben)).state == "succeeded"
    assert _enabled(vault, versions) == [False, False]


def test_no_current_version_hides_among_those_of_another_group(versions, admin, vault):
    make_approvers("ben")
    set_policy("set_enabled", actor=admin)
    CloudVersion.objects.update(state="superseded")
    for version in versions:
        version.refresh_from_db()
    job = work(_disable(versions, admin))
    assert job.state == "failed"
    assert all("policy asks for approvals" in detail for detail in job.targets.values_list("detail", flat=True))
    assert _enabled(vault, versions) == [True, True]


def test_without_a_version_nothing_is_asked_for(admin):
    with pytest.raises(ConflictError, match="no version to enable or disable"):
        _disable([], admin)
