"""A worker killed with -9 at any moment leaves a job that ends with one version and no KEK."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
# The statements of one push, sampled; `make faults`-style runs may take every one.
MOMENTS = [1, 6, 12, 17, 20, 22, 24, 27, 30, 34, 38, 44]


def _run_and_die(job, number):
    """Run a job in a process of its own that dies at the given statement. Return its exit code."""
    from django.conf import settings
    from django.db import connection

    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        url = f"sqlite:///{name}"
    else:
        database = connection.settings_dict
        url = f"postgres://{database['USER']}@{database['HOST']}:{database['PORT']}/{name}"
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "KMES_UNKNOWN_QUARANTINE_SECONDS": str(settings.KMES_UNKNOWN_QUARANTINE_SECONDS),
    }
    command = [sys.executable, "-m", "tests.jobs.killed_worker", str(job.pk), str(number)]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, timeout=60).returncode


@pytest.mark.parametrize("number", MOMENTS)
def test_a_killed_push_ends_with_exactly_one_version(number, group, admin, vault, settings):
    from jobs import keks, services
    from jobs.models import Job
    from kmes.core.clock import now
    from tests.jobs.builders import make_keys, work

    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = 1
    (key,) = make_keys(group, "one", actor=admin)
    job = services.request_synchronize(keys=[key], actor=admin)
    assert _run_and_die(job, number) in {-signal.SIGKILL, 0}

    for _ in range(6):
        past = now() - timedelta(seconds=1)
        Job.objects.filter(pk=job.pk).update(lease_until=past, run_after=past)
        if work(job).finished_at:
            break
        import time

        time.sleep(1)
    keks.sweep()
    assert (job.state, job.error_what) == ("succeeded", "")
    assert vault.versions("payments") == [key.cloud_versions.get().azure_version]
    assert vault.keks() == []


@pytest.mark.parametrize("number", [2, 9, 16, 25, 40, 52])
def test_a_killed_rotation_makes_one_key_and_one_version(number, group, admin, vault, settings):
    from jobs import keks, services
    from jobs.models import Job
    from kmes.core.clock import now
    from tests.jobs.builders import work

    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = 1
    job = services.request_rotation(group=group, actor=admin)
    assert _run_and_die(job, number) in {-signal.SIGKILL, 0}
    for _ in range(6):
        past = now() - timedelta(seconds=1)
        Job.objects.filter(pk=job.pk).update(lease_until=past, run_after=past)
        if work(job).finished_at:
            break
        import time

        time.sleep(1)
    keks.sweep()
    assert (job.state, job.error_what) == ("succeeded", "")
    assert group.keys.count() == 1
    assert len(vault.versions("payments")) == 1
    assert vault.keks() == []
    group.refresh_from_db()
    assert group.last_rotated_at is not None
