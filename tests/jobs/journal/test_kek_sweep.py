"""The ledger keeps each ephemeral key until the vault itself says that it is gone, and asks no vault in vain for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from jobs.journal import kek_sweep
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import EphemeralKek
from logging_reports.models import LogEntry
from tests.jobs.builders import CLIENT, make_keys, messages, work

pytestmark = pytest.mark.django_db(transaction=True)
RIGHTS = ["get", "list", "create", "import", "update", "delete", "recover", "purge", "sign", "verify"]


@pytest.fixture
def grant(azure_stand_in):
    """Grants the console's app every key permission but those named."""

    def grant(*, but=()):
        client = {"client_id": CLIENT, "permissions": [right for right in RIGHTS if right not in but]}
        azure_stand_in.control("POST", "/_emulator/clients", client)

    yield grant
    grant()


@pytest.fixture
def push(group, admin):
    """Pushes a new key of this name and returns the job."""
    return lambda name: work(request_synchronize(keys=make_keys(group, name, actor=admin), actor=admin))


def refusals(event="azure.permission_missing"):
    """How many rows of the log say that a permission is missing."""
    return LogEntry.objects.filter(event=event).count()


def test_a_purged_kek_stays_on_the_ledger_until_its_absence_is_read(push, vault):
    push("one")
    assert vault.keks() == []
    assert EphemeralKek.objects.get().state == "discarded"
    asked = LogEntry.objects.filter(event__in=["azure.key_read", "azure.deleted_key_read"], key__startswith="kmes-kek-")
    assert not asked.exists(), "the push itself waits for no proof"
    assert kek_sweep.sweep() == 0
    assert EphemeralKek.objects.get().state == "gone"
    assert asked.count() == 2
    kek_sweep.sweep()
    assert asked.count() == 2, "a proof is read once"


def test_a_kek_that_the_vault_still_holds_is_discarded_again(push, vault):
    push("one")
    name = EphemeralKek.objects.get().name
    vault.client.create_rsa_key(name, hardware_protected=True, key_operations=["import"])
    vault.client.begin_delete_key(name).wait()
    assert kek_sweep.sweep() == 1
    assert EphemeralKek.objects.get().state == "deleted"
    assert kek_sweep.sweep() == 0
    assert (vault.keks(), EphemeralKek.objects.get().state) == ([], "gone")


def test_without_the_right_to_delete_a_rotation_succeeds_with_a_warning_that_every_page_shows(
    group, admin, grant, vault, client
):
    grant(but=["delete"])
    job = work(request_rotation(group=group, actor=admin))
    step = job.steps.get(name="discard_kek")
    assert (job.state, step.state) == ("warned", "warned")
    assert vault.keks()[0] in step.detail
    assert "delete" in step.detail.lower()
    group.refresh_from_db()
    assert group.last_rotated_at is not None
    client.force_login(get_user_model().objects.get(pk=admin.user_id))
    page = client.get(job.get_absolute_url()).content.decode()
    assert "something is left behind" in page
    for address in ("/jobs/", "/jobs/?state=warned", job.get_absolute_url()):
        assert "Succeeded with a warning" in client.get(address).content.decode(), address
    assert "1 ephemeral KEK may be left over in a vault" in client.get("/").content.decode()
    row = LogEntry.objects.get(event="job.finished", job_code=job.code)
    assert (row.severity, vault.keks()[0] in row.message) == ("warning", True)


def test_a_vault_that_refuses_to_delete_is_asked_ever_more_rarely_and_once_for_all_its_keks(
    push, grant, vault, monkeypatch
):
    grant(but=["delete"])
    push("one")
    push("two")
    before, asked = refusals(), LogEntry.objects.filter(event="azure.probe")
    real = timezone.now
    for hour in range(1, 49):
        monkeypatch.setattr(timezone, "now", lambda hour=hour: real() + timedelta(hours=hour, minutes=1))
        kek_sweep.sweep()
    assert refusals() - before <= 2, "each KEK's refusal is an error once"
    assert asked.count() <= 10
    assert EphemeralKek.objects.filter(state="live").count() == 2
    grant()
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(hours=80))
    kek_sweep.sweep()
    assert (vault.keks(), set(EphemeralKek.objects.values_list("state", flat=True))) == ([], {"gone"})


def test_a_purge_right_that_is_withheld_is_noted_once_and_is_no_warning(push, grant, vault):
    grant(but=["purge"])
    jobs = [push("one"), push("two"), push("three")]
    assert [job.state for job in jobs] == ["succeeded"] * 3
    assert refusals() == 1
    assert LogEntry.objects.filter(event="azure.kek_purge_not_needed").count() == 1
    assert "Purge is not granted" in "\n".join(messages(jobs[0]))
    for job in jobs:
        step = job.steps.get(name="discard_kek")
        assert (step.state, "left to Azure" in step.detail) == ("done", True)
    assert kek_sweep.sweep() == 0
    assert set(EphemeralKek.objects.values_list("state", flat=True)) == {"gone"}
    assert len(vault.keks()) == 3, "the vault removes them when their retention ends"
    assert refusals() == 1


def test_a_purge_right_that_was_withheld_is_tried_again_after_a_day(push, grant, vault):
    grant(but=["purge"])
    push("one")
    grant()
    EphemeralKek.objects.update(created_at=timezone.now() - timedelta(days=2))
    push("two")
    kek_sweep.sweep()
    assert len(vault.keks()) == 1, "the first one is left to its retention"
