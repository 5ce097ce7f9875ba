"""A push that gets only part of its keys into the vault says which were refused, which were not tried, and why, once."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from jobs.kinds.synchronize.spec import request_synchronize
from jobs.services import request_retry
from logging_reports.models import LogEntry
from tests.jobs.builders import make_group, make_keys, messages, work

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = ("k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8")
POLICY = {"status": 403, "code": "Forbidden", "message": "Disallowed by policy."}


@pytest.fixture
def fault(azure_stand_in):
    """Orders a fault of the stand-in."""
    yield lambda **fault: azure_stand_in.control("POST", "/_emulator/faults", fault)
    azure_stand_in.control("DELETE", "/_emulator/faults")


@pytest.fixture
def refuse(fault):
    """Lets the vault refuse imports after some."""
    return lambda skip, **answer: fault(method="PUT", path="/keys/*", skip=skip, count=-1, **(answer or POLICY))


def test_of_eight_keys_two_are_imported_one_is_refused_and_five_were_not_tried(group, admin, refuse, vault, client):
    keys = make_keys(group, *NAMES, actor=admin)
    refuse(2)
    job = work(request_synchronize(keys=keys, actor=admin))
    assert job.state == "partly_failed"
    assert list(job.targets.values_list("state", flat=True)) == ["done"] * 2 + ["failed"] + ["not_tried"] * 5
    assert len(vault.versions("payments")) == 2
    said = [*messages(job), *job.targets.values_list("detail", flat=True)]
    assert "2 of 8 imported, 1 refused, 5 not tried" in said
    assert "Not tried: k4, k5, k6, k7, k8" in said
    reason = f"{job.error_what} {job.error_remedy}".strip()
    assert sum(reason in text for text in messages(job)) == 1
    assert [target.key.name for target in job.targets.all() if target.detail == reason] == ["k3"]
    assert "2 of 8 imported, 1 refused, 5 not tried" in LogEntry.objects.get(event="job.failed").message
    client.force_login(get_user_model().objects.get(pk=admin.user_id))
    page = client.get(job.get_absolute_url()).content.decode()
    assert "2 of 8 imported, 1 refused, 5 not tried." in page
    assert page.count("Not tried</span>") == 5
    live = page[: page.index('id="job-log"')]
    # In the box, and in the text that the button copies.
    assert live.count(job.error_what) == 2
    again = work(request_retry(job=job, actor=admin))
    assert [target.key.name for target in again.targets.all()] == list(NAMES[2:])


def test_keys_that_were_never_tried_are_not_called_refused(group, admin, fault):
    keys = make_keys(group, *NAMES, actor=admin)
    fault(method="POST", path="/keys/kmes-kek-*", count=-1, **POLICY)
    job = work(request_synchronize(keys=keys, actor=admin))
    assert job.state == "failed"
    assert set(job.targets.values_list("state", flat=True)) == {"not_tried"}
    assert "0 of 8 imported, 8 not tried" in messages(job)
    assert sum(job.error_what in text for text in messages(job)) == 1
    assert sum(job.error_what in detail for detail in job.targets.values_list("detail", flat=True)) == 1
    assert set(group.cloud_versions.values_list("state", flat=True)) == {"failed"}


def test_a_reason_that_several_keys_share_is_told_once(group, admin, refuse):
    keys = make_keys(group, "one", "two", "three", actor=admin)
    refuse(0, status=400, code="BadParameter", message="Key size is not allowed.")
    job = work(request_synchronize(keys=keys, actor=admin))
    assert (job.state, job.error_what) == ("failed", "0 of 3 imported, 3 refused.")
    assert sum("Key size is not allowed" in text for text in messages(job)) == 1
    assert messages(job).count("Failed to synchronize HSM protected key two: the same reason as above") == 1


def test_in_a_push_to_several_groups_each_group_tells_its_own_reason_once(group, admin, refuse, credential, vault):
    other = make_group(credential, group.vault.url, name="refunds")
    keys = [*make_keys(group, "a1", "a2", actor=admin), *make_keys(other, "b1", "b2", actor=admin)]
    refuse(1)
    job = work(request_synchronize(keys=keys, actor=admin))
    states = {target.key.name: target.state for target in job.targets.select_related("key")}
    assert states == {"a1": "done", "a2": "failed", "b1": "failed", "b2": "not_tried"}
    assert (job.state, job.error_what) == ("partly_failed", "1 of 4 imported, 2 refused, 1 not tried.")
    assert not group.cloud_versions.filter(state="pushing").exists()
    assert not other.cloud_versions.filter(state="pushing").exists()
