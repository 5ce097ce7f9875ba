"""Two releases side by side: what a worker does not know it leaves in the queue, and says so."""

from __future__ import annotations

import json
import logging
import socket
import tomllib
from pathlib import Path

import pytest
import redis
from django.db import connection

from hsm.models import WorkerSighting
from jobs import tasks
from jobs.engine import execution, lifecycle
from jobs.models import ScheduleClock
from jobs.schedule import scans
from kmes.core.schema import Fit, check_fit, compare
from kmes.core.version import VERSION
from tests.jobs.pages.browsing import body, group, make_job, pages, people, static_root

__all__ = ["group", "pages", "people", "static_root"]
pytestmark = pytest.mark.django_db

OWN = {("jobs", "0001"): frozenset(), ("jobs", "0002"): frozenset(), ("auth", "0001"): frozenset()}


@pytest.mark.parametrize(
    ("applied", "wanted"),
    [
        ({("jobs", "0001"), ("jobs", "0002"), ("auth", "0001")}, Fit.OK),
        ({("jobs", "0001"), ("auth", "0001")}, Fit.BEHIND),
        (set(), Fit.BEHIND),
        ({("jobs", "0001"), ("jobs", "0002"), ("jobs", "0003"), ("auth", "0001")}, Fit.AHEAD),
        # An app that this release has no more is nobody's concern.
        ({("jobs", "0001"), ("jobs", "0002"), ("auth", "0001"), ("former", "0009")}, Fit.OK),
    ],
)
def test_a_schema_is_that_of_the_code_or_behind_or_ahead(applied, wanted):
    assert compare(OWN, applied) == wanted


def test_a_squashed_migration_counts_when_all_it_replaces_is_applied():
    own = {("jobs", "0001_squashed"): frozenset({("jobs", "0001"), ("jobs", "0002")})}
    assert compare(own, {("jobs", "0001"), ("jobs", "0002")}) == Fit.OK
    assert compare(own, {("jobs", "0001_squashed")}) == Fit.OK
    assert compare(own, {("jobs", "0001")}) == Fit.BEHIND


def test_the_database_of_these_tests_fits():
    assert check_fit() == Fit.OK


def unmigrate(state: str) -> None:
    """Let the database look as if it were of an earlier or later release."""
    with connection.cursor() as cursor:
        if state == "behind":
            cursor.execute("DELETE FROM django_migrations WHERE app = 'operations' AND name = '0001_initial'")
        else:
            cursor.execute(
                "UPDATE django_migrations SET name = '0999_later' WHERE app = 'operations' AND name = '0001_initial'"
            )


def test_a_job_of_a_kind_this_code_does_not_know_stays_queued_and_says_what_it_waits_for(caplog, group, pages):
    job = make_job(group, kind="attest_key", state="queued")
    with caplog.at_level(logging.WARNING, "jobs.engine.compatibility"):
        for _hint in range(3):
            assert execution.execute(job.pk, owner="old-worker") is None
    job.refresh_from_db()
    assert (job.state, job.fence, job.started_at) == ("queued", 0, None)
    assert job.waiting_for == "a worker that knows jobs of the kind “attest_key”"
    # Said once, not at every hint.
    assert len(caplog.messages) == 1
    # Pages of this release can show it all the same.
    assert "attest_key" in body(pages.get(f"/jobs/{job.code}/"))
    assert "attest_key" in body(pages.get("/jobs/?show=all"))


@pytest.mark.parametrize(("state", "words"), [("behind", "to be migrated"), ("ahead", "was migrated to")])
def test_on_a_schema_of_another_release_no_job_is_taken(group, state, words):
    job = make_job(group, kind="self_test", state="queued")
    unmigrate(state)
    assert execution.execute(job.pk, owner="w") is None
    job.refresh_from_db()
    assert (job.state, job.fence) == ("queued", 0)
    assert words in job.waiting_for


def test_a_job_left_by_one_worker_is_taken_by_the_next_that_fits(group):
    job = make_job(group, kind="check_drift", state="queued", azure_lock="")
    lifecycle.record_wait(job.pk, waiting_for="a worker of the release the database was migrated to")
    assert lifecycle.claim(job.pk, owner="new-worker") is not None
    job.refresh_from_db()
    assert (job.state, job.waiting_for) == ("running", "")


@pytest.fixture
def broker(redis_server):
    client = redis.Redis.from_url(redis_server, decode_responses=True)
    yield client
    client.delete(f"kmes:heartbeat:worker:{socket.gethostname()}", "cloud")
    client.close()


@pytest.mark.parametrize("state", ["behind", "ahead"])
def test_a_worker_that_does_not_fit_says_so_and_leaves_the_rows_alone(broker, group, state, settings):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True
    broker.delete("cloud")
    make_job(group, kind="self_test", state="queued")
    unmigrate(state)
    tasks.scan_jobs()
    tasks.scan_rotations()
    tasks.scan_drift()
    tasks.sweep_keks()
    word = json.loads(broker.get(f"kmes:heartbeat:worker:{socket.gethostname()}"))
    assert word["schema"] == state
    assert broker.llen("cloud") == 0
    assert not WorkerSighting.objects.exists()
    assert not ScheduleClock.objects.exists()


def test_a_worker_that_fits_says_release_kinds_and_is_seen(broker, settings):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True
    assert scans.publish_heartbeat()
    word = json.loads(broker.get(f"kmes:heartbeat:worker:{socket.gethostname()}"))
    assert (word["schema"], word["version"]) == ("ok", VERSION)
    assert {"rotate", "synchronize"} <= set(word["kinds"])
    seen = WorkerSighting.objects.get()
    assert (seen.host, seen.version) == (socket.gethostname(), VERSION)


def test_the_code_says_the_same_release_as_the_package():
    project = tomllib.loads((Path(__file__).resolve().parents[3] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
