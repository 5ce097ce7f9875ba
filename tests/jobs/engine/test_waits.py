"""What a job waits for: as long as the provider asks, no longer than it must, and not beyond a cancel."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client

from jobs.engine import execution
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import EphemeralKek, Job
from jobs.services import request_cancel
from kmes.core.clock import now
from tests.jobs.builders import make_keys, work

pytestmark = pytest.mark.django_db(transaction=True)
VERSIONS = {"method": "GET", "path": "/keys/payments/versions.*"}
IMPORT = {"method": "PUT", "path": "/keys/payments.*"}


@pytest.fixture
def fault(azure_stand_in):
    """Let calls fail."""

    def add(call, **how):
        azure_stand_in.control("POST", "/_emulator/faults", {**call, "count": 50, **how})

    return add


def seconds_until_next_look(job) -> float:
    return (job.run_after - now()).total_seconds()


@pytest.mark.parametrize(("asked", "wanted"), [(400, 400), (1_000_000_000, 900)])
def test_a_job_returns_its_worker_for_as_long_as_the_provider_asks_within_a_quarter_of_an_hour(
    group, admin, fault, asked, wanted
):
    fault(VERSIONS, status=429, retry_after=asked)
    began = time.monotonic()
    job = work(request_check_drift(group=group, actor=admin))
    assert time.monotonic() - began < 60
    assert job.state == "queued"
    assert wanted - 15 < seconds_until_next_look(job) <= wanted
    page = Client()
    from django.contrib.auth import get_user_model

    page.force_login(get_user_model().objects.get(pk=admin.user_id))
    assert "Next look:" in page.get(job.get_absolute_url()).content.decode()


def in_worker(job) -> threading.Thread:
    def run():
        try:
            execution.execute(job.pk, owner="another")
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def cancelled_within(job, admin, thread=None) -> float:
    """Cancel the job and return how many seconds it took to end."""
    began = time.monotonic()
    request_cancel(job=job, actor=admin)
    if thread is None:
        work(job)
    else:
        thread.join()
    took = time.monotonic() - began
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("cancelled", "cancelled")
    return took


def test_a_job_in_a_call_that_hangs_ends_as_cancelled_within_two_seconds(group, admin, fault):
    fault(VERSIONS, delay_ms=20_000)
    job = request_check_drift(group=group, actor=admin)
    thread = in_worker(job)
    time.sleep(1.5)
    assert cancelled_within(job, admin, thread) < 2


def test_a_change_that_hangs_is_left_in_doubt_and_its_job_ends_as_cancelled(group, admin, fault):
    (key,) = make_keys(group, "one", actor=admin)
    fault(IMPORT, delay_ms=20_000)
    job = request_synchronize(keys=[key], actor=admin)
    thread = in_worker(job)
    time.sleep(4)
    assert cancelled_within(job, admin, thread) < 3
    assert job.intents.get(operation="import").state == "unknown"


def test_a_job_that_waits_in_the_queue_ends_as_cancelled_though_the_vault_is_silent(group, admin, fault):
    (key,) = make_keys(group, "one", actor=admin)
    fault(IMPORT, status=429, retry_after=600)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "queued"
    fault({"method": "DELETE", "path": "/keys/kmes-kek.*"}, delay_ms=20_000)
    assert seconds_until_next_look(job) > 500
    assert cancelled_within(job, admin) < 3
    assert EphemeralKek.objects.exclude(state="gone").exists(), "the sweep removes what the vault did not answer about"


def test_a_failure_that_passes_waits_its_own_delay_where_nothing_is_asked(group, admin, fault):
    fault(VERSIONS, status=503)
    job = work(request_check_drift(group=group, actor=admin))
    assert 0 < seconds_until_next_look(job) <= 3
    Job.objects.filter(pk=job.pk).update(run_after=now() - timedelta(seconds=1))
    assert 3 < seconds_until_next_look(work(job)) <= 9
