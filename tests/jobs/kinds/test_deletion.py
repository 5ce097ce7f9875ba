"""Local and cloud material are deleted separately, and neither touches the other."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs import services
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.cloud_purge.spec import request_cloud_purge
from jobs.kinds.cloud_recover.spec import request_cloud_recover
from jobs.kinds.destroy.spec import request_destroy
from jobs.kinds.set_enabled.spec import request_set_enabled, request_switch
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from jobs.planning.requests import undone_keys
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.clock import now
from tests.jobs.builders import make_keys, messages, work

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pushed(group, admin):
    """A key that is in the vault."""
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "succeeded", job.error_what
    return key


def _reload(group):
    return KeyGroup.objects.get(pk=group.pk)


def test_local_deletion_leaves_the_vault_untouched_and_says_so(pushed, group, admin, vault):
    job = work(request_destroy(keys=[pushed], actor=admin))
    assert job.state == "succeeded"
    pushed.refresh_from_db()
    assert (pushed.state, bytes(pushed.wrapped_private)) == ("destroyed", b"")
    assert any("vault was not touched" in text for text in messages(job))
    version = pushed.cloud_versions.get().azure_version
    assert vault.sign("payments", version)


def test_cloud_deletion_leaves_the_key_here_and_can_be_undone(pushed, group, admin, vault):
    job = work(request_cloud_delete(group=_reload(group), actor=admin))
    assert (job.state, job.error_what) == ("succeeded", "")
    assert vault.is_deleted("payments")
    pushed.refresh_from_db()
    assert pushed.state == "present"
    assert pushed.cloud_versions.get().state == "soft_deleted"
    assert _reload(group).scheduled_purge_at is not None

    job = work(request_cloud_recover(group=_reload(group), actor=admin))
    assert (job.state, job.error_what) == ("succeeded", "")
    assert len(vault.versions("payments")) == 1
    assert pushed.cloud_versions.get().state == "active"


@pytest.mark.parametrize("recovered_by", ["the console", "somebody else"])
def test_a_switch_that_nobody_could_see_before_the_deletion_is_seen_after_the_recovery(
    recovered_by, pushed, group, admin, vault
):
    """As after a call to disable it whose answer was lost: when somebody looked again, the key was deleted."""
    version = pushed.cloud_versions.get().azure_version
    vault.client.update_key_properties("payments", version, enabled=False)
    work(request_cloud_delete(group=_reload(group), actor=admin))
    if recovered_by == "the console":
        job = work(request_cloud_recover(group=_reload(group), actor=admin))
    else:
        vault.client.begin_recover_deleted_key("payments").wait()
        job = work(request_synchronize(keys=make_keys(group, "two", actor=admin), actor=admin))
    assert any(f"The vault has version {version} disabled" in text for text in messages(job))
    row = pushed.cloud_versions.get()
    assert (row.state, row.enabled, row.wanted_enabled, row.differs) == ("disabled", False, True, True)


def test_after_a_purge_the_same_key_can_be_pushed_again(pushed, group, admin, vault):
    work(request_cloud_delete(group=_reload(group), actor=admin))
    job = work(request_cloud_purge(group=_reload(group), actor=admin))
    assert (job.state, job.error_what) == ("succeeded", "")
    assert not vault.is_deleted("payments")
    key = type(pushed).objects.select_related("group__vault").get(pk=pushed.pk)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert (job.state, job.error_what) == ("succeeded", "")
    assert len(vault.versions("payments")) == 1


def test_a_version_made_by_somebody_else_stops_a_deletion(pushed, group, admin, vault):
    vault.client.create_ec_key("payments")
    job = work(request_cloud_delete(group=_reload(group), actor=admin))
    assert job.state == "failed"
    assert "did not know" in job.error_what
    assert len(vault.versions("payments")) == 2


def test_a_deletion_whose_answer_is_lost_is_found_done(pushed, group, admin, vault, azure_stand_in):
    azure_stand_in.control(
        "POST", "/_emulator/faults", {"method": "DELETE", "path": "/keys/payments.*", "reset": "after"}
    )
    job = work(request_cloud_delete(group=_reload(group), actor=admin))
    assert job.state == "queued"
    Job.objects.filter(pk=job.pk).update(run_after=job.created_at)
    assert work(job).state == "succeeded"
    assert vault.is_deleted("payments")


def test_a_version_can_be_disabled_and_enabled(pushed, group, admin, vault):
    version = pushed.cloud_versions.get()
    work(request_set_enabled(version=version, enabled=False, actor=admin))
    assert vault.client.get_key("payments").properties.enabled is False
    version.refresh_from_db()
    assert version.state == "disabled"
    work(request_set_enabled(version=version, enabled=True, actor=admin))
    version.refresh_from_db()
    assert version.state == "active"
    assert vault.client.get_key("payments").properties.enabled is True


def test_drift_is_found_and_recorded(pushed, group, admin, vault):
    vault.client.create_ec_key("payments")
    job = work(request_check_drift(group=group, actor=admin))
    assert any("not made here" in text for text in messages(job))


def test_a_key_deleted_outside_the_console_is_found_by_the_drift_check(pushed, group, admin, vault):
    vault.client.begin_delete_key("payments").wait()
    work(request_check_drift(group=group, actor=admin))
    assert _reload(group).cloud_state == "soft_deleted"
    assert pushed.cloud_versions.get().state == "soft_deleted"


class Crash(BaseException):
    """A worker's sudden end; nothing in the product can catch it."""


@pytest.fixture
def crash(settings):
    """Let the worker end at a moment, and what it held run out."""

    def fall(moment):
        if moment == wanted[-1]:
            raise Crash

    def arrange(job, moment):
        wanted.append(moment)
        with pytest.raises(Crash):
            work(job)
        wanted.append("")
        Job.objects.filter(pk=job.pk).update(lease_until=now() - timedelta(seconds=1))

    wanted = [""]
    settings.KMES_FAILPOINTS = fall
    return arrange


def test_what_a_job_did_is_recorded_though_it_is_cancelled_before_it_says_so(pushed, group, admin, vault, crash):
    version = pushed.cloud_versions.get
    steps = [
        (request_cloud_delete, "cloud_delete.after_delete_key", "soft_deleted"),
        (request_cloud_recover, "cloud_recover.after_recover_key", "active"),
        (request_cloud_delete, "cloud_delete.before_record", "soft_deleted"),
        (request_cloud_purge, "cloud_purge.after_purge_key", "purged"),
    ]
    for ask, moment, state in steps:
        job = ask(group=_reload(group), actor=admin)
        crash(job, moment)
        services.request_cancel(job=job, actor=admin)
        assert work(job).state == "cancelled"
        assert version().state == state, moment
    assert vault.versions("payments") == []


def test_a_version_of_a_deleted_key_is_not_called_missing(pushed, group, admin, vault):
    switch = request_set_enabled(version=pushed.cloud_versions.get(), enabled=False, actor=admin)
    vault.client.begin_delete_key("payments").wait()
    work(switch)
    assert switch.state == "failed"
    assert "is deleted, with all its versions" in switch.error_what
    assert "Recover it first" in switch.error_remedy
    assert pushed.cloud_versions.get().state == "active"


def test_several_versions_are_disabled_by_one_job_and_the_one_that_is_gone_fails_alone(group, admin, vault):
    keys = make_keys(group, "one", "two", "three", actor=admin)
    work(request_synchronize(keys=keys, actor=admin))
    versions = {key.name: key.cloud_versions.get() for key in keys}
    # The vault does not have it, as after a deletion behind the console's back.
    CloudVersion.objects.filter(pk=versions["two"].pk).update(azure_version="f" * 32)
    job = work(request_switch(versions=[versions["one"], versions["two"]], enabled=False, actor=admin))
    assert (job.state, job.subject) == ("partly_failed", "2 keys")
    assert {target.key.name: target.state for target in job.targets.all()} == {"one": "done", "two": "failed"}
    assert any("two" in text and "no version" in text for text in messages(job))
    enabled = {
        name: vault.client.get_key("payments", versions[name].azure_version).properties.enabled
        for name in ("one", "three")
    }
    assert enabled == {"one": False, "three": True}
    assert [key.name for key in undone_keys(job)] == ["two"]
