"""What gives no answer holds its share of a worker, whatever the kind of its jobs; the others go on."""

from __future__ import annotations

import queue
import threading
import time
from datetime import timedelta
from typing import Self

import pytest
from django.db import connection

from cloudcreds.models import VaultCircuit
from jobs import tasks
from jobs.engine import admission
from jobs.journal import kek_sweep
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.list_vaults.spec import request_vault_list
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.kinds.test_connection.spec import request_connection_test
from jobs.models import EphemeralKek, Job
from jobs.schedule import scans
from jobs.services import request_cancel
from kmes.core.clock import now
from tests.jobs.builders import make_group, make_keys, work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
SILENT_MS = 25_000


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
def other(credential, azure_stand_in, admin):
    """A key of a group in a vault that answers."""
    group = make_group(credential, azure_stand_in.vault_url("kv-protected"), name="other")
    return make_keys(group, "one", actor=admin)


@pytest.fixture
def groups(credential, azure_stand_in, admin):
    """Key groups of the vault that will not answer. Sign-in is done: threads, unlike processes, share its client."""
    url = azure_stand_in.vault_url("kv-premium")
    groups = [make_group(credential, url, name=f"silent-{number}") for number in range(4)]
    for job in (
        request_check_drift(group=groups[0], actor=admin),
        request_vault_list(credential=credential, actor=admin),
    ):
        assert work(job).state == "succeeded"
    return groups


@pytest.fixture
def silence(azure_stand_in):
    """Let requests with these paths wait for their answer, for longer than a push takes."""

    def begin(path, **more):
        fault = {"path": path, "count": 1000, "delay_ms": SILENT_MS, **more}
        azure_stand_in.control("POST", "/_emulator/faults", fault)

    return begin


def comparisons(groups, _other, admin):
    return [request_check_drift(group=group, actor=admin) for group in groups]


def connection_tests(groups, _other, admin):
    vault = groups[0].vault
    return [request_connection_test(credential=vault.credential, vault=vault, actor=admin) for _group in groups]


def listings(groups, _other, admin):
    return [request_vault_list(credential=groups[0].credential, actor=admin) for _group in groups]


def pushes_of_several_groups(groups, other, admin):
    """Each begins with a group of the vault that answers."""
    jobs = []
    for number, group in enumerate(groups):
        keys = [*make_keys(other, f"first-{number}", actor=admin), *make_keys(group, f"second-{number}", actor=admin)]
        jobs.append(request_synchronize(keys=keys, actor=admin))
    return jobs


def until(condition, *, seconds=60):
    """Wait for a condition; what it waits for does not depend on the speed of the machine."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError([(str(job), job.kind, job.state, job.waiting_for) for job in Job.objects.all()])


def is_ended(job) -> bool:
    job.refresh_from_db()
    return job.finished_at is not None


def is_slow_now() -> bool:
    return Job.objects.filter(admission.is_slow(), state="running").exists()


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (comparisons, "/keys/silent*"),
        (connection_tests, "/keys*"),
        (listings, "/subscriptions*"),
        (pushes_of_several_groups, "/keys/silent*"),
    ],
)
def test_a_push_to_another_vault_is_done_while_jobs_wait_for_an_answer(
    kind, path, groups, other, admin, silence, two_processes
):
    waiting = kind(groups, other[0].group, admin)
    silence(path, **({"vault": "kv-premium"} if kind is not listings else {}))
    with Worker() as worker:
        worker.hint(*waiting)
        until(is_slow_now)
        push = request_synchronize(keys=other, actor=admin)
        worker.hint(push)
        until(lambda: is_ended(push))
        assert push.state == "succeeded"
        assert not any(is_ended(job) for job in waiting), "none had its answer meanwhile"
        until(lambda: Job.objects.filter(state="running").count() <= 1)
        for job in waiting:
            request_cancel(job=job, actor=admin)
            worker.hint(job)
        until(lambda: all(is_ended(job) for job in waiting))
        assert {job.state for job in waiting} == {"cancelled"}
    assert not VaultCircuit.objects.filter(failures__gt=0).exists(), "a call that was given up says nothing"


def test_a_job_that_was_cancelled_on_its_way_counts_among_those_that_wait_for_a_worker(group, admin):
    """Else those that hold every process for a silent vault would make it wait until their calls end."""
    VaultCircuit.objects.create(vault=group.vault, slow_until=now() + timedelta(minutes=1))
    job = request_check_drift(group=group, actor=admin)
    Job.objects.filter(pk=job.pk).update(started_at=now(), run_after=now(), waiting_for="its vault")
    assert not admission.are_others_waiting()
    request_cancel(job=job, actor=admin)
    assert admission.are_others_waiting()


def test_a_sweep_leaves_a_silent_vault_alone_while_a_push_waits(groups, other, admin, silence):
    ended = work(request_check_drift(group=groups[0], actor=admin))
    for number in range(3):
        EphemeralKek.objects.create(
            job=ended,
            vault=groups[0].vault,
            name=f"kmes-kek-left-{number}",
            modulus_bits=2048,
            state="live",
            expires_at=now(),
        )
    silence("/keys*", vault="kv-premium")
    # A push that waits for the worker.
    request_synchronize(keys=other, actor=admin)
    assert kek_sweep.sweep() == 3
    assert sorted(EphemeralKek.objects.values_list("sweep_attempts", flat=True)) == [0, 0, 1], "one call showed enough"
    assert "was stopped" in EphemeralKek.objects.get(sweep_attempts=1).note
