"""A vault that gives no answer: it holds its share of the workers, and its jobs wait in words."""

from __future__ import annotations

import queue
import threading
import time
from datetime import timedelta
from typing import Self

import pytest
from django.db import connection
from django.test import Client

from cloudcreds import circuits
from cloudcreds.models import VaultCircuit
from jobs import tasks
from jobs.engine import admission
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from jobs.schedule import scans
from jobs.services import request_cancel
from kmes.core.clock import now
from logging_reports.models import LogEntry
from tests.jobs.builders import make_group, make_keys, work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
SILENT = {"method": "GET", "path": "/keys/silent.*", "count": 1000, "delay_ms": 12_000}


class Worker:
    """Two processes of one worker, here as threads, that receive hints in the order in which they were sent."""

    def __init__(self) -> None:
        self.hints: queue.Queue[object] = queue.Queue()
        self._done = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._work, self._work, self._scan)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def hint(self, *jobs: Job) -> None:
        for job in jobs:
            self.hints.put(job.pk)

    def _work(self) -> None:
        while not self._done.is_set():
            try:
                tasks.run_job(str(self.hints.get(timeout=0.1)))
            except queue.Empty:
                continue
        connection.close()

    def _scan(self) -> None:
        while not self._done.wait(1):
            for job_id in scans.find_claimable(has_hints=not self.hints.empty()):
                self.hints.put(job_id)
        connection.close()


@pytest.fixture
def two_processes():
    admission.Pool.processes = 2
    yield
    admission.Pool.processes = 0


@pytest.fixture
def silent(credential, azure_stand_in):
    """Twenty key groups of one vault that answers nothing about them for a long time."""
    url = azure_stand_in.vault_url("kv-premium")
    groups = [make_group(credential, url, name=f"silent-{number}") for number in range(20)]
    azure_stand_in.control("POST", "/_emulator/faults", SILENT)
    return groups


@pytest.fixture
def other(credential, azure_stand_in, admin):
    """A key of a group in another vault."""
    group = make_group(credential, azure_stand_in.vault_url("kv-protected"), name="other")
    return make_keys(group, "one", "two", actor=admin)


def ended(job, *, seconds=30) -> Job:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job.refresh_from_db()
        if job.finished_at:
            return job
        time.sleep(0.05)
    raise AssertionError(f"{job} is {job.state}: {job.waiting_for}")


def test_a_push_to_another_vault_starts_at_once_beside_twenty_jobs_of_a_silent_one(silent, other, admin, two_processes):
    with Worker() as worker:
        alone = request_synchronize(keys=[other[0]], actor=admin)
        worker.hint(alone)
        alone = ended(alone)
        waiting = [request_check_drift(group=group, actor=admin) for group in silent]
        worker.hint(*waiting)
        time.sleep(3)
        push = request_synchronize(keys=[other[1]], actor=admin)
        worker.hint(push)
        push = ended(push)
        assert push.state == "succeeded"
        assert push.started_at - push.created_at < timedelta(seconds=2)
        assert push.finished_at - push.started_at < 2 * (alone.finished_at - alone.started_at) + timedelta(seconds=1)
        time.sleep(2)
        running = Job.objects.filter(state="running", pk__in=[job.pk for job in waiting])
        assert running.count() <= 1
        left = Job.objects.filter(waiting_for__contains="answers slowly").first()
        assert left.run_after > left.created_at
        request_cancel(job=left, actor=admin)
        assert ended(left, seconds=2).state == "cancelled"
        last = running.first()
        if last is not None:
            request_cancel(job=last, actor=admin)
            worker.hint(last)
            assert ended(last, seconds=2).state == "cancelled"
        Job.objects.filter(pk__in=[job.pk for job in waiting]).exclude(state="running").delete()


# --- The circuit -----------------------------------------------------------------------------
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
    began = time.monotonic()
    assert work(opened).state == "cancelled"
    assert time.monotonic() - began < 2
