"""A key that counts as deleted here may have been recovered or purged since: what the vault holds is recorded all the same."""

from __future__ import annotations

import pytest

from jobs.kinds import azure_key
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.cloud_purge.spec import request_cloud_purge
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Intent, Job
from keygroups import lifecycle
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.clock import now
from tests.jobs.builders import make_keys, messages, work

pytestmark = pytest.mark.django_db(transaction=True)


def states(group):
    return sorted(group.cloud_versions.exclude(state="failed").values_list("key__name", "state"))


def work_again(job):
    Job.objects.filter(pk=job.pk).update(run_after=job.created_at)
    return work(job)


@pytest.fixture
def push(group, vault, admin):
    """An open push of a second key, while the first one counts as deleted here."""
    first, second = make_keys(group, "first", "second", actor=admin)
    assert work(request_synchronize(keys=[first], actor=admin)).state == "succeeded"
    job = request_synchronize(keys=[second], actor=admin)
    lifecycle.record_deleted(group=group, deleted_at=now(), scheduled_purge_at=now())
    return job


def test_a_push_records_a_purge_outside_before_it_brings_its_keys(push, group, vault):
    vault.client.begin_delete_key("payments").wait()
    vault.client.purge_deleted_key("payments")
    job = work(push)
    assert (job.state, job.error_what) == ("succeeded", "")
    assert states(group) == [("first", "purged"), ("second", "active")]
    assert "The Azure key was purged outside this console" in messages(job)


def test_a_push_records_a_recovery_outside_before_it_brings_its_keys(push, group, vault):
    job = work(push)
    assert (job.state, job.error_what) == ("succeeded", "")
    assert states(group) == [("first", "superseded"), ("second", "active")]
    assert "The Azure key was recovered outside this console" in messages(job)


def test_a_push_goes_on_after_the_key_was_deleted_and_the_answer_to_its_purge_was_lost(
    group, vault, admin, azure_stand_in, settings, monkeypatch
):
    fault = {"method": "PUT", "path": "/keys/payments.*", "reset": "after"}
    azure_stand_in.control("POST", "/_emulator/faults", fault)
    push = work(request_synchronize(keys=make_keys(group, "first", "second", actor=admin), actor=admin))
    assert push.state == "queued"
    work(request_check_drift(group=group, actor=admin))
    assert ("first", "active") in states(group)
    assert work(request_cloud_delete(group=KeyGroup.objects.get(), actor=admin)).state == "succeeded"
    fault = {"method": "DELETE", "path": "/deletedkeys/payments.*", "reset": "after"}
    azure_stand_in.control("POST", "/_emulator/faults", fault)
    purge = work(request_cloud_purge(group=KeyGroup.objects.get(), actor=admin))
    assert purge.state == "queued"

    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = 0
    monkeypatch.setattr(azure_key, "DELETING_SECONDS", 0)
    push = work_again(push)
    assert (push.state, push.error_what) == ("succeeded", "")
    assert "The Azure key was purged by an earlier call whose answer was lost" in messages(push)
    assert len(vault.versions("payments")) == 2
    assert [state for _name, state in states(group)].count("purged") == 1
    live = CloudVersion.objects.filter(state__in=["active", "superseded"])
    assert {row.azure_version for row in live} == set(vault.versions("payments"))
    purge = work_again(purge)
    assert (purge.state, purge.error_what) == ("succeeded", "")
    assert "the key there now was made afterwards" in " ".join(messages(purge))
    assert len(vault.versions("payments")) == 2
    assert KeyGroup.objects.get().cloud_state == "live"


def test_a_comparison_adopts_an_import_of_a_key_whose_former_version_counts_as_deleted(group, vault, admin):
    (key,) = make_keys(group, "first", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    # As if the version in the vault were another one than the one that was deleted.
    CloudVersion.objects.update(azure_version="0" * 32)
    lifecycle.record_deleted(group=group, deleted_at=now(), scheduled_purge_at=now())
    Intent.objects.update(state="unknown")
    check = work(request_check_drift(group=KeyGroup.objects.get(), actor=admin))
    assert (check.state, check.error_what) == ("succeeded", "")
    assert states(group) == [("first", "active"), ("first", "purged")]
    assert set(job.intents.values_list("state", flat=True)) == {"adopted"}
    assert KeyGroup.objects.get().cloud_state == "live"


def test_a_comparison_calls_no_key_purged_that_the_vault_is_still_deleting(group, vault, admin, azure_stand_in):
    work(request_synchronize(keys=make_keys(group, "first", actor=admin), actor=admin))
    azure_stand_in.control("POST", "/_emulator/vaults/kv-premium", {"delete_settle": 3600})
    assert work(request_cloud_delete(group=KeyGroup.objects.get(), actor=admin)).state == "succeeded"
    check = work(request_check_drift(group=KeyGroup.objects.get(), actor=admin))
    assert check.waiting_for == "Azure is still deleting the key"
    assert states(group) == [("first", "soft_deleted")]
