"""Other ways to disable a current version than the action that others approve: pushes, repairs, rows that hide it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.repair.spec import request_repair
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.set_enabled.spec import request_set_enabled, request_switch
from jobs.kinds.synchronize.spec import request_synchronize
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from tests.jobs.approving import REASON, approve, make_approvers, set_policy
from tests.jobs.builders import make_keys, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token, vault
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "credential", "device", "group", "hsm_token", "log_can_be_flushed", "vault"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ben(admin):
    return make_approvers("ben")[0]


@pytest.fixture
def pushed(group, admin):
    """A group with two versions in the vault."""
    keys = make_keys(group, "k1", "k2", actor=admin)
    assert work(request_synchronize(keys=keys, actor=admin)).state == "succeeded"
    group.refresh_from_db()
    return group


@pytest.fixture
def current(pushed, admin, ben):
    """The version in use, which nobody may disable alone."""
    set_policy("set_enabled", actor=admin)
    return CloudVersion.objects.get(group=pushed, state="active")


def is_enabled(vault, version):
    return vault.client.get_key(version.azure_name, version.azure_version).properties.enabled


def test_a_current_version_that_a_row_calls_superseded_is_not_disabled_alone(current, admin, vault):
    CloudVersion.objects.filter(pk=current.pk).update(state="superseded")
    current.refresh_from_db()
    job = work(request_set_enabled(version=current, enabled=False, actor=admin))
    assert job.error_code == "approval_void"
    assert is_enabled(vault, current)


@pytest.mark.parametrize("written", [lambda _version: "", str.upper], ids=["without a version", "in capitals"])
def test_a_row_hides_no_current_version_behind_another_name_of_it(current, admin, vault, written):
    real = current.azure_version
    CloudVersion.objects.filter(pk=current.pk).update(state="superseded", azure_version=written(real))
    row = CloudVersion.objects.get(pk=current.pk)
    assert work(request_set_enabled(version=row, enabled=False, actor=admin)).error_code == "approval_void"
    assert vault.client.get_key(current.azure_name, real).properties.enabled


def test_a_row_that_leads_to_the_current_version_does_not_make_it_a_double(current, pushed, admin, vault):
    other = pushed.cloud_versions.exclude(pk=current.pk).get()
    CloudVersion.objects.filter(pk=current.pk).update(azure_version="gone", kid="gone")
    CloudVersion.objects.filter(pk=other.pk).update(azure_version=current.azure_version)
    work(request_set_enabled(version=CloudVersion.objects.get(pk=other.pk), enabled=False, actor=admin))
    assert is_enabled(vault, current)


def test_a_selection_hides_no_current_version_behind_one_of_another_azure_key(current, pushed, admin, vault):
    other = pushed.cloud_versions.exclude(pk=current.pk).get()
    CloudVersion.objects.filter(pk=current.pk).update(state="superseded")
    CloudVersion.objects.filter(pk=other.pk).update(azure_name="decoy")
    versions = [CloudVersion.objects.get(pk=each.pk) for each in (other, current)]
    assert work(request_switch(versions=versions, enabled=False, actor=admin)).state == "failed"
    assert is_enabled(vault, current)


def test_no_push_replaces_the_current_version_by_a_disabled_one_alone(current, pushed, admin, vault):
    extra = make_keys(pushed, "k3", actor=admin)
    KeyGroup.objects.filter(pk=pushed.pk).update(enabled_on_push=False)
    pushed.refresh_from_db()
    extra[0].group = pushed
    for request in (
        lambda: request_rotation(group=pushed, actor=admin),
        lambda: request_synchronize(keys=extra, actor=admin),
    ):
        with pytest.raises(ConflictError, match="arrives disabled and replaces the current version"):
            request()
    # The group may be changed after the request: the worker looks for itself.
    KeyGroup.objects.filter(pk=pushed.pk).update(enabled_on_push=True)
    pushed.refresh_from_db()
    job = request_rotation(group=pushed, actor=admin)
    KeyGroup.objects.filter(pk=pushed.pk).update(enabled_on_push=False)
    assert work(job).error_code == "approval_void"
    assert vault.client.get_key(current.azure_name).properties.version == current.azure_version


def test_a_repair_that_disables_the_current_version_waits_for_approvals(current, pushed, admin, ben, vault):
    # What is wanted is a row, too.
    CloudVersion.objects.filter(pk=current.pk).update(wanted_enabled=False)
    work(request_check_drift(group=pushed, actor=admin))
    rows = list(pushed.observations.exclude(flags=[]).select_related("group__vault", "version__key"))
    job = request_repair(observations=rows, actor=admin, reason=REASON)
    assert job.state == "awaiting"
    assert work(job).state == "awaiting"
    assert is_enabled(vault, current)
    assert work(approve(job, ben)).state == "succeeded", job.error_what
    assert not is_enabled(vault, current)


def test_a_repair_that_lets_the_current_version_begin_later_waits_for_approvals(current, pushed, admin):
    CloudVersion.objects.filter(pk=current.pk).update(wanted_not_before=now() + timedelta(days=9))
    work(request_check_drift(group=pushed, actor=admin))
    rows = list(pushed.observations.exclude(flags=[]).select_related("group__vault", "version__key"))
    assert request_repair(observations=rows, actor=admin, reason=REASON).state == "awaiting"


def test_a_repair_whose_rows_hide_what_it_does_disables_nothing(current, pushed, admin, vault):
    CloudVersion.objects.filter(pk=current.pk).update(wanted_enabled=False)
    work(request_check_drift(group=pushed, actor=admin))
    KeyGroup.objects.filter(pk=pushed.pk).update(current_version="")
    CloudVersion.objects.filter(pk=current.pk).update(state="superseded")
    rows = list(pushed.observations.exclude(flags=[]).select_related("group__vault", "version__key"))
    job = work(request_repair(observations=rows, actor=admin))
    assert job.state == "failed"
    assert is_enabled(vault, current)
