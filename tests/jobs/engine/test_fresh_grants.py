"""A right that is missing: asked once more with a new sign-in, and in the set-up for as long as a grant may take."""

from __future__ import annotations

import queue
import time
from datetime import timedelta

import pytest

from cloudcreds.models import KeyVault
from jobs.engine import fresh_grants, hints
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.kinds.test_connection.spec import request_connection_test
from jobs.models import Job
from jobs.schedule import scans
from jobs.services import request_cancel
from kmes.core.clock import now
from logging_reports.models import LogEntry
from tests.jobs.builders import CLIENT, make_keys, messages, work

pytestmark = pytest.mark.django_db(transaction=True)
ALL = ["get", "list", "create", "import", "update", "delete", "recover", "purge", "sign"]


@pytest.fixture
def permit(azure_stand_in):
    """Grant the client all rights but these. A grant acts in tokens of a later second only, as in Azure."""
    azure_stand_in.control("POST", "/_emulator/settings", {"grants_need_new_token": True})

    def grant(*, but=()):
        began = int(time.time())
        while int(time.time()) == began:
            time.sleep(0.02)
        granted = [word for word in ALL if word not in but]
        azure_stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "permissions": granted})

    return grant


@pytest.fixture
def asked(azure_stand_in):
    """How often a call was sent with a token."""

    def count(method, part):
        entries = azure_stand_in.control("GET", "/_emulator/requests")
        return len([e for e in entries if e["method"] == method and part in e["path"] and e["status"] != 401])

    return count


def test_a_right_granted_after_the_sign_in_is_found_by_the_next_job(group, admin, permit):
    first, second = make_keys(group, "one", "two", actor=admin)
    permit(but=["import"])
    assert work(request_synchronize(keys=[first], actor=admin)).state == "failed"
    permit()
    job = work(request_synchronize(keys=[second], actor=admin))
    assert job.state == "succeeded", messages(job)


def test_a_job_that_misses_a_right_asks_once_more_and_then_fails(group, admin, permit, asked):
    (key,) = make_keys(group, "one", actor=admin)
    permit(but=["create"])
    job = work(request_synchronize(keys=[key], actor=admin))
    assert (job.state, job.error_code) == ("failed", "azure.permission")
    assert asked("POST", "/create") == 2
    assert LogEntry.objects.filter(event="azure.permission_missing").count() == 1


def set_up(job):
    """Start it as the set-up does."""
    fresh_grants.await_grants(job)
    return work(job)


def end_pause(job):
    Job.objects.filter(pk=job.pk).update(run_after=now())
    return work(job)


@pytest.fixture
def vault_row(group):
    return KeyVault.objects.get(pk=group.vault_id)


def test_a_test_of_the_set_up_waits_for_the_grant(credential, vault_row, admin, permit):
    permit(but=["import", "sign"])
    job = set_up(request_connection_test(credential=credential, vault=vault_row, actor=admin))
    assert job.state == "queued"
    assert "A new grant needs up to 15 minutes" in messages(job)[-1]
    assert "a new grant, which needs up to 15 minutes" in job.waiting_for
    assert fresh_grants.next_try_at(job) == job.run_after > now()
    assert fresh_grants.gives_up_at(job) > now() + timedelta(minutes=14)
    assert job.pk not in scans.find_claimable()
    permit()
    assert end_pause(job).state == "succeeded"


def test_the_next_try_comes_when_the_countdown_ends(credential, vault_row, admin, permit, monkeypatch):
    """And not with the next scan, up to 15 seconds later."""
    sent = queue.Queue()
    monkeypatch.setattr(hints, "send", sent.put)
    monkeypatch.setattr(fresh_grants, "PAUSES", (0.2,))
    permit(but=["import"])
    job = set_up(request_connection_test(credential=credential, vault=vault_row, actor=admin))
    assert job.state == "queued"
    while not sent.empty():
        sent.get()
    assert sent.get(timeout=60) == job.pk
    assert job.pk in scans.find_claimable()


def test_so_does_the_first_push(group, admin, permit, vault):
    permit(but=["import"])
    job = set_up(request_rotation(group=group, actor=admin))
    assert job.state == "queued", messages(job)
    permit()
    job = end_pause(job)
    assert job.state == "succeeded", messages(job)
    assert len(vault.versions("payments")) == 1
    assert group.keys.count() == 1
    assert vault.keks() == []


def test_the_pauses_grow_and_end_when_a_grant_has_had_its_time(credential, vault_row, admin, permit):
    permit(but=["delete"])
    job = set_up(request_connection_test(credential=credential, vault=vault_row, actor=admin))
    pauses = []
    for _each in range(4):
        pauses.append(round((job.run_after - now()).total_seconds()))
        job = end_pause(job)
    assert pauses[0] <= 15 < pauses[1] <= 30 < pauses[2] <= 60
    job.run_notes["right_missing_since"] = (now() - timedelta(minutes=14, seconds=30)).isoformat()
    Job.objects.filter(pk=job.pk).update(run_notes=job.run_notes)
    job = end_pause(job)
    assert (job.state, job.error_code) == ("failed", "probe_failed")


def test_a_wait_for_a_grant_is_cancelled_at_once(credential, vault_row, admin, permit):
    permit(but=["delete"])
    job = set_up(request_connection_test(credential=credential, vault=vault_row, actor=admin))
    request_cancel(job=job, actor=admin)
    job.refresh_from_db()
    assert fresh_grants.next_try_at(job) is None
    assert job.pk in scans.find_claimable()
    assert work(job).state == "cancelled"


@pytest.mark.parametrize("change", [{"firewall": True}, {"sku": "standard"}])
def test_what_no_grant_cures_is_not_waited_for(change, credential, vault_row, admin, permit, azure_stand_in):
    azure_stand_in.control("POST", "/_emulator/vaults/kv-premium", change)
    job = set_up(request_connection_test(credential=credential, vault=vault_row, actor=admin))
    assert job.state == "failed"


def test_a_test_elsewhere_does_not_wait(credential, vault_row, admin, permit):
    permit(but=["delete"])
    assert work(request_connection_test(credential=credential, vault=vault_row, actor=admin)).state == "failed"
