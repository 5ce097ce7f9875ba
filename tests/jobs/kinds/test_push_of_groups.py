"""One job on the keys of several groups: one KEK per vault, and no group's trouble is another's."""

from __future__ import annotations

import pytest

from jobs.engine import lifecycle
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from jobs.planning import blockers
from jobs.services import request_retry
from kmes.core.clock import now
from logging_reports.models import LogEntry
from tests.jobs.builders import make_group, make_keys, messages, work

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def groups(group, credential, azure_stand_in):
    """Two groups in one vault."""
    return [group, make_group(credential, azure_stand_in.vault_url("kv-premium"), name="refunds")]


def _request(groups, admin):
    keys = [make_keys(group, f"{group.name}-1", actor=admin)[0] for group in groups]
    return request_synchronize(keys=keys, actor=admin), keys


def _due(job):
    Job.objects.filter(pk=job.pk).update(run_after=job.created_at)


def test_one_kek_serves_the_groups_of_a_vault(groups, admin, vault):
    job, __ = _request(groups, admin)
    assert (work(job).state, job.error_what) == ("succeeded", "")
    assert [len(vault.versions(group.azure_name)) for group in groups] == [1, 1]
    assert job.keks.count() == 1
    assert vault.keks() == []
    assert messages(job)[-1] == "Successfully synchronized 2 HSM protected key(s)"


def test_each_group_has_steps_of_its_own_and_log_rows_that_name_it(groups, admin):
    job, __ = _request(groups, admin)
    work(job)
    steps = set(job.steps.values_list("name", "subject"))
    assert {("import_key", "payments"), ("import_key", "refunds"), ("discard_kek", "")} <= steps
    imported = LogEntry.objects.filter(job_id=job.pk, event="azure.key_imported").order_by("sequence")
    assert list(imported.values_list("group", flat=True)) == ["payments", "refunds"]


def test_a_group_that_is_refused_does_not_hold_up_the_other(groups, admin, vault):
    job, (refused, pushed) = _request(groups, admin)
    vault.client.create_ec_key("payments")
    vault.client.begin_delete_key("payments").wait()
    assert work(job).state == "partly_failed"
    assert dict(job.targets.values_list("key__name", "state")) == {refused.name: "not_tried", pushed.name: "done"}
    assert len(vault.versions("refunds")) == 1
    assert "ecover" in job.targets.get(key=refused).detail
    assert vault.keks() == []


def test_a_group_that_is_busy_waits_while_the_other_is_pushed(groups, admin, vault):
    job, (busy, pushed) = _request(groups, admin)
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
    assert job.azure_lock == ""
    assert dict(job.targets.values_list("key__name", "state")) == {busy.name: "pending", pushed.name: "done"}

    lifecycle.finish(held, "succeeded")
    _due(job)
    assert work(job).state == "succeeded"
    assert [len(vault.versions(group.azure_name)) for group in groups] == [1, 1]
    assert vault.keks() == []


def test_a_lost_answer_in_one_group_is_looked_for_after_the_other_is_done(groups, admin, vault, azure_stand_in):
    job, __ = _request(groups, admin)
    azure_stand_in.control("POST", "/_emulator/faults", {"method": "PUT", "path": "/keys/payments.*", "reset": "after"})
    assert work(job).state == "queued"
    assert sorted(job.targets.values_list("state", flat=True)) == ["done", "pending"]
    _due(job)
    assert work(job).state == "succeeded"
    assert [len(vault.versions(group.azure_name)) for group in groups] == [1, 1]
    assert vault.keks() == []


def test_a_job_that_waits_for_the_key_a_run_turned_from_is_next(groups, admin):
    job, __ = _request(groups, admin)
    held = lifecycle.claim(job.pk, owner="worker")
    assert lifecycle.hold(held, groups[0].azure_lock, vault_id=groups[0].vault_id)
    waiting = request_check_drift(group=groups[0], actor=admin)
    assert lifecycle.claim(waiting.pk, owner="other") is None
    assert lifecycle.hold(held, groups[1].azure_lock, vault_id=groups[1].vault_id)
    assert lifecycle.next_in_line(groups[0].azure_lock) == waiting.pk
    assert lifecycle.claim(waiting.pk, owner="other") is not None
    assert not lifecycle.hold(held, groups[0].azure_lock, vault_id=groups[0].vault_id)
    assert Job.objects.get(pk=job.pk).azure_lock == groups[1].azure_lock


def test_what_is_asked_for_one_of_its_groups_waits_for_the_job(groups, admin):
    job, (key, __) = _request(groups, admin)
    assert str(job) in blockers.why_not_rotate(groups[1])
    assert str(job) in blockers.why_not_synchronize(key)


def test_a_retry_takes_up_what_each_group_left_undone(groups, admin, vault):
    job, (refused, __) = _request(groups, admin)
    vault.client.create_ec_key("payments")
    vault.client.begin_delete_key("payments").wait()
    work(job)
    vault.client.purge_deleted_key("payments")
    again = work(request_retry(job=job, actor=admin))
    assert again.state == "succeeded"
    assert list(again.targets.values_list("key__name", flat=True)) == [refused.name]
