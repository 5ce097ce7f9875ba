"""A worker killed with -9 at any moment leaves a job that ends with one version and no KEK."""

from __future__ import annotations

import signal
import time
from datetime import timedelta

import pytest

from jobs.journal import kek_sweep
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from kmes.core.clock import now
from tests.jobs.builders import make_keys, work
from tests.jobs.engine.killed_worker import run_and_die

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

# The statements of one push, sampled; `make faults`-style runs may take every one.
MOMENTS = [1, 6, 12, 17, 20, 22, 24, 27, 30, 34, 38, 44]


@pytest.mark.parametrize("number", MOMENTS)
def test_a_killed_push_ends_with_exactly_one_version(number, group, admin, vault, settings):
    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = 1
    (key,) = make_keys(group, "one", actor=admin)
    job = request_synchronize(keys=[key], actor=admin)
    assert run_and_die(job, number) in {-signal.SIGKILL, 0}

    for _ in range(6):
        past = now() - timedelta(seconds=1)
        Job.objects.filter(pk=job.pk).update(lease_until=past, run_after=past)
        if work(job).finished_at:
            break
        time.sleep(1)
    kek_sweep.sweep()
    assert (job.state, job.error_what) == ("succeeded", "")
    assert vault.versions("payments") == [key.cloud_versions.get().azure_version]
    assert vault.keks() == []


@pytest.mark.parametrize("number", [2, 9, 16, 25, 40, 52])
def test_a_killed_rotation_makes_one_key_and_one_version(number, group, admin, vault, settings):
    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = 1
    job = request_rotation(group=group, actor=admin)
    assert run_and_die(job, number) in {-signal.SIGKILL, 0}
    for _ in range(6):
        past = now() - timedelta(seconds=1)
        Job.objects.filter(pk=job.pk).update(lease_until=past, run_after=past)
        if work(job).finished_at:
            break
        time.sleep(1)
    kek_sweep.sweep()
    assert (job.state, job.error_what) == ("succeeded", "")
    assert group.keys.count() == 1
    assert len(vault.versions("payments")) == 1
    assert vault.keks() == []
    group.refresh_from_db()
    assert group.last_rotated_at is not None
