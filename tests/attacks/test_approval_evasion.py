"""Ways around an approval: rows that say that a job has begun, later jobs of a chain, forged decisions, floods."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from jobs.approvals.models import ApprovalDecision, ApprovalRequest
from jobs.choices import IntentOperation
from jobs.engine.approval_requests import MOST_OPEN_OF_A_USER
from jobs.engine.authenticity import NotGenuine
from jobs.kinds.destroy.spec import request_destroy
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Intent, Job, JobTarget
from jobs.services import request_removal
from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from logging_reports.models import LogEntry, Notice
from tests.jobs.approving import REASON, approve, make_approvers, request_of, set_policy
from tests.jobs.builders import make_keys, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "credential", "device", "group", "hsm_token", "log_can_be_flushed"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ben(admin):
    return make_approvers("ben")[0]


@pytest.fixture
def keys(group, admin, ben):
    return make_keys(group, "k1", "k2", actor=admin)


@pytest.fixture
def pushed(group, keys, admin):
    """A group with two versions in the vault."""
    assert work(request_synchronize(keys=keys, actor=admin)).state == "succeeded"
    group.refresh_from_db()
    return group


def keys_are_there():
    return set(Key.objects.values_list("state", flat=True)) == {"present"}


# --- Has it begun? -----------------------------------------------------------------------------
def insert_intent(job, group):
    Intent.objects.create(
        job=job, fence=1, operation=IntentOperation.DELETE, azure_lock=group.azure_lock, state="ok", sent_at=now()
    )


def finish_target(job, _group):
    JobTarget.objects.filter(job=job, key__name="k1").update(state="done")


def make_mark_up(job, _group):
    Job.objects.filter(pk=job.pk).update(run_notes={"begun": "A" * 86 + "=="})


@pytest.mark.parametrize("change", [insert_intent, finish_target, make_mark_up])
def test_rows_that_say_that_a_job_has_begun_spare_no_comparison(change, keys, group, admin, ben):
    set_policy("destroy", actor=admin)
    job = approve(request_destroy(keys=keys, actor=admin, reason=REASON), ben)
    change(job, group)
    Key.objects.filter(name="k2").update(name="another")
    assert work(job).error_code == "approval_void"
    assert keys_are_there()


def test_nor_does_the_mark_of_another_job(keys, group, admin, ben):
    set_policy("destroy", actor=admin)
    first, second = (approve(request_destroy(keys=[key], actor=admin, reason=REASON), ben) for key in keys)
    assert work(first).state == "succeeded"
    assert first.run_notes["begun"]
    Job.objects.filter(pk=second.pk).update(run_notes=first.run_notes)
    Key.objects.filter(name="k2").update(name="another")
    assert work(second).error_code == "approval_void"


def test_an_approval_that_a_row_keeps_waiting_expires_also_for_a_job_that_claims_to_have_begun(keys, group, admin, ben):
    set_policy("destroy", actor=admin, expires_hours=2)
    job = approve(request_destroy(keys=keys, actor=admin, reason=REASON), ben)
    insert_intent(job, group)
    with time_machine.travel(now() + timedelta(hours=3)):
        assert "expired" in work(job).error_what
    assert keys_are_there()


# --- Later jobs of a chain -----------------------------------------------------------------------
@pytest.fixture
def purge(pushed, admin, ben):
    """The second job of an approved removal, which waits for a worker."""
    set_policy("cloud_purge", actor=admin, expires_hours=2)
    job = request_removal(group=pushed, cloud="purge", local=True, actor=admin, reason=REASON)
    assert work(approve(job, ben)).state == "succeeded", job.error_what
    return Job.objects.get(follows=job)


def test_a_later_job_of_a_chain_that_is_held_back_expires(purge):
    with time_machine.travel(now() + timedelta(hours=3)):
        work(purge)
    assert (purge.error_code, "expired" in purge.error_what) == ("approval_void", True)


def add_version(group):
    version = CloudVersion.objects.filter(group=group).first()
    CloudVersion.objects.create(
        group=group,
        vault=version.vault,
        key=version.key,
        azure_name=version.azure_name,
        azure_version="f" * 32,
        state="purged",
    )


def move_group(group):
    KeyGroup.objects.filter(pk=group.pk).update(azure_name="another")


def rename_key(_group):
    Key.objects.filter(name="k1").update(name="another")


@pytest.mark.parametrize("change", [add_version, move_group, rename_key])
def test_a_later_job_of_a_chain_works_on_what_was_approved(change, purge, pushed):
    change(pushed)
    assert work(purge).error_code == "approval_void"
    assert not LogEntry.objects.filter(event__in=["azure.key_purged", "key.destroyed"]).exists()


# --- Alarms and floods -------------------------------------------------------------------------
def test_whoever_decides_on_a_request_that_was_changed_raises_the_alarm_once(keys, admin, ben):
    set_policy("destroy", actor=admin)
    job = request_destroy(keys=keys, actor=admin, reason=REASON)
    ApprovalRequest.objects.filter(job=job).update(reason="Ordered by the board")
    for _time in range(3):
        with pytest.raises(NotGenuine):
            approve(job, ben)
    row = LogEntry.objects.get(event="approval.not_genuine")
    assert (row.severity, row.job_code, row.actor_name) == ("error", job.code, "system")
    assert Notice.objects.filter(event="approval.not_genuine").count() == 1


def test_a_forged_decision_raises_the_alarm_on_the_page_and_at_the_worker(keys, admin, ben):
    [cleo] = make_approvers("cleo")
    set_policy("destroy", actor=admin)
    job = request_destroy(keys=keys, actor=admin, reason=REASON)
    forged = ApprovalDecision.objects.create(
        request=request_of(job),
        user_id=cleo.user_id,
        user_name="cleo",
        verdict="approve",
        decided_at=now(),
        signature=bytes(64),
    )
    with pytest.raises(NotGenuine, match="not as it was recorded"):
        approve(job, ben)
    assert LogEntry.objects.filter(event="approval.not_genuine", job_id=job.pk).count() == 1
    forged.delete()
    approve(job, ben)
    forged.save(force_insert=True)
    assert work(job).error_code == "not_approved"
    assert keys_are_there()


def test_a_user_has_a_limited_number_of_open_requests(keys, admin, ben):
    set_policy("destroy", actor=admin)
    for _each in range(MOST_OPEN_OF_A_USER):
        job = request_destroy(keys=keys, actor=admin, reason=REASON)
    with pytest.raises(ConflictError, match="wait for approval already"):
        request_destroy(keys=keys, actor=admin, reason=REASON)
    assert request_destroy(keys=keys, actor=ben, reason=REASON).state == "awaiting"
    approve(job, ben)
    assert request_destroy(keys=keys, actor=admin, reason=REASON).state == "awaiting"
