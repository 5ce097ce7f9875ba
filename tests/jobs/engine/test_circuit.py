"""The circuit of a vault that does not answer: its jobs wait in words, one tries it, and an answer lets all go."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from cloudcreds import circuits
from cloudcreds.models import VaultCircuit
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.kinds.test_connection.spec import request_connection_test
from jobs.models import Job
from jobs.services import request_cancel
from kmes.core.clock import now
from logging_reports.models import LogEntry
from tests.jobs.builders import make_group, make_keys, work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
VERSIONS = {"method": "GET", "path": "/keys/payments/versions.*", "status": 503}


def compare(group, admin) -> Job:
    return work(request_check_drift(group=group, actor=admin))


@pytest.fixture
def opened(group, admin, azure_stand_in, settings):
    """The group, and a job that found its vault's circuit open after three answers of 503."""
    settings.KMES_CIRCUIT_FAILURES = 3
    azure_stand_in.control("POST", "/_emulator/faults", {**VERSIONS, "count": 3})
    first = compare(group, admin)
    assert first.state == "queued"
    Job.objects.filter(pk=first.pk).update(run_after=now())
    return work(first)


def end_pause():
    VaultCircuit.objects.update(retry_at=now())
    Job.objects.update(run_after=now())


def test_jobs_of_a_vault_that_does_not_answer_wait_and_say_until_when(opened):
    circuit = VaultCircuit.objects.get()
    assert circuit.failures == 3
    assert 3 < (circuit.retry_at - now()).total_seconds() <= 5
    assert (opened.state, opened.waiting_for) == ("queued", "the vault “kv”, which does not answer")
    assert opened.run_after >= circuit.retry_at


def test_one_job_tries_the_vault_and_an_answer_lets_all_others_go(opened, group, admin, credential, azure_stand_in):
    second = make_group(credential, azure_stand_in.vault_url("kv-premium"), name="second")
    end_pause()
    assert circuits.begin_probe(group.vault_id, job_id=opened.pk)
    assert compare(second, admin).waiting_for == "the vault “kv”, which does not answer"
    assert work(opened).state == "succeeded"
    assert not circuits.is_troubled(group.vault)
    Job.objects.update(run_after=now())
    assert work(Job.objects.get(group=second)).state == "succeeded"


def test_each_try_without_an_answer_makes_the_pause_longer(opened, group, admin, azure_stand_in):
    azure_stand_in.control("POST", "/_emulator/faults", {"path": "/keys/payments.*", "status": 503, "count": 50})
    pauses = []
    for _try in range(5):
        Job.objects.update(failures=0)
        end_pause()
        work(opened)
        circuit = VaultCircuit.objects.get()
        pauses.append((circuit.retry_at - now()).total_seconds())
    # A pause begins with the first call of the try, which makes three.
    assert all(wanted - 12 < pause <= wanted for pause, wanted in zip(pauses, [15, 60, 300, 900, 900], strict=True))


def test_a_person_has_a_paused_vault_tried_at_once(opened, group, admin, django_user_model):
    page = Client()
    page.force_login(django_user_model.objects.get(pk=admin.user_id))
    assert "does not answer" in page.get(group.credential.get_absolute_url()).content.decode()
    url = f"/jobs/vaults/{group.vault_id}/try/"
    assert page.get(url).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(django_user_model.objects.get(pk=admin.user_id))
    assert strict.post(url).status_code == 403
    auditor = Client()
    auditor.force_login(django_user_model.objects.create_user("eve", role="auditor"))
    assert auditor.post(url).status_code == 403
    VaultCircuit.objects.update(retry_at=now() + timedelta(minutes=15))
    Job.objects.update(run_after=VaultCircuit.objects.get().retry_at)
    assert page.post(url).status_code == 302
    assert LogEntry.objects.filter(event="schedule.vault_tried").count() == 1
    assert work(opened).state == "succeeded"


def test_a_cancel_does_not_wait_for_the_vault(opened, admin):
    request_cancel(job=opened, actor=admin)
    assert work(opened).state == "cancelled"


def test_a_change_whose_outcome_is_unknown_counts_as_no_answer(group, admin, azure_stand_in):
    keys = make_keys(group, "one", actor=admin)
    azure_stand_in.control("POST", "/_emulator/faults", {"method": "PUT", "path": "/keys/payments*", "reset": "after"})
    assert work(request_synchronize(keys=keys, actor=admin)).state == "queued"
    assert VaultCircuit.objects.get().failures == 1


def test_a_persons_connection_test_reaches_a_paused_vault_and_its_success_lets_the_others_go(
    opened, group, credential, admin
):
    until = now() + timedelta(minutes=15)
    VaultCircuit.objects.update(retry_at=until)
    Job.objects.filter(pk=opened.pk).update(run_after=until)
    test = work(request_connection_test(credential=credential, vault=group.vault, actor=admin))
    assert (test.state, test.error_what) == ("succeeded", "")
    assert not circuits.is_troubled(group.vault)
    opened.refresh_from_db()
    assert opened.run_after <= now()
    assert work(opened).state == "succeeded"


def test_a_connection_test_without_an_answer_counts_as_one(group, credential, admin, azure_stand_in, settings):
    settings.KMES_CIRCUIT_FAILURES = 1
    azure_stand_in.control("POST", "/_emulator/faults", {"path": "/keys*", "status": 503, "count": 50})
    assert work(request_connection_test(credential=credential, vault=group.vault, actor=admin)).state == "failed"
    assert VaultCircuit.objects.get().retry_at is not None


def test_a_job_on_several_groups_waits_for_the_paused_vault_alone(opened, group, credential, admin, azure_stand_in):
    other = make_group(credential, azure_stand_in.vault_url("kv-protected"), name="other")
    keys = [*make_keys(group, "one", actor=admin), *make_keys(other, "two", actor=admin)]
    job = work(request_synchronize(keys=keys, actor=admin))
    assert (job.state, job.waiting_for) == ("queued", "the vault “kv”, which does not answer")
    assert dict(job.targets.values_list("key__name", "state")) == {"one": "pending", "two": "done"}
    end_pause()
    assert work(job).state == "succeeded"


def test_a_failure_of_a_job_on_several_groups_counts_for_the_vault_it_was_at(group, credential, admin, azure_stand_in):
    other = make_group(credential, azure_stand_in.vault_url("kv-protected"), name="other")
    keys = [*make_keys(other, "two", actor=admin), *make_keys(group, "one", actor=admin)]
    azure_stand_in.control("POST", "/_emulator/faults", {**VERSIONS, "count": 50})
    job = work(request_synchronize(keys=keys, actor=admin))
    assert (job.state, job.vault) == ("queued", group.vault)
    assert list(VaultCircuit.objects.filter(failures__gt=0).values_list("vault", flat=True)) == [group.vault_id]
