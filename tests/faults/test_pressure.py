"""Many keys for one vault under Azure's real limit: 10 HSM keys made or imported in 10 seconds.

``make test`` pushes some, FAULTS=all a thousand. A worker process does the large job; this process is a
second worker, other users, and the observer.
"""

from __future__ import annotations

import os
import time

import pytest
from django.contrib.auth import get_user_model

from jobs import services
from jobs.journal import kek_ledger
from jobs.kinds.push import batches
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from jobs.schedule import scans
from kmes.core.actor import Actor
from tests.jobs.builders import make_group, make_keys, work

ALL = os.environ.get("FAULTS") == "all"
KEYS = int(os.environ.get("KEYS", "1000" if ALL else "24"))
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(1800)]


@pytest.fixture
def throttled(world, monkeypatch, settings):
    """The stand-in with Azure's limit; every worker keeps the pace."""
    world.stand_in.control("POST", "/_emulator/settings", {"throttle": True})
    settings.KMES_PACE_CUSTOM_ENDPOINTS = True
    monkeypatch.setenv("KMES_PACE_CUSTOM_ENDPOINTS", "1")
    return world


@pytest.fixture
def large(throttled, admin):
    """A worker process in the middle of the large job; yields the job and the process."""
    keys = make_keys(throttled.group, *[f"key-{number:04}" for number in range(KEYS)], actor=admin)
    job = request_synchronize(keys=keys, actor=admin)
    worker = throttled.start_worker(job, "none=kill@1")
    end = time.monotonic() + 120
    while not job.targets.filter(state="done").exists() and time.monotonic() < end:
        time.sleep(0.2)
    try:
        yield job, worker
    finally:
        worker.kill()
        worker.wait()


def refusals(world):
    """The requests that the vault answered with 429."""
    return [entry for entry in world.stand_in.control("GET", "/_emulator/requests") if entry["status"] == 429]


def test_a_large_push_collects_no_refusal_delays_no_other_vault_and_shows_how_long_it_takes(
    large, throttled, credential, admin, azure_stand_in
):

    job, worker = large
    begun = time.monotonic()
    other = make_group(credential, azure_stand_in.vault_url("kv-protected"), name="other")
    (single,) = make_keys(other, "single", actor=admin)
    begun_single = time.monotonic()
    assert work(request_synchronize(keys=[single], actor=admin)).state == "succeeded"
    took_single = time.monotonic() - begun_single
    shown = set()
    while worker.poll() is None:
        shown.update(job.steps.filter(name="import_key").values_list("detail", flat=True))
        time.sleep(0.5)
    job.refresh_from_db()
    took = time.monotonic() - begun
    print(f"\n{KEYS} keys took {took:.0f} s at 10 in 10 s; another vault's push {took_single:.1f} s meanwhile")
    assert (job.state, job.targets.filter(state="done").count()) == ("succeeded", KEYS)
    assert refusals(throttled) == []
    assert job.keks.count() == 1, "one KEK per job, unless it outlives the first"
    assert took_single < 10
    assert any(f"of {KEYS}" in text for text in shown), shown
    if ALL:
        assert any("min left" in text for text in shown), shown
    assert len(throttled.vault.versions("payments")) == KEYS


def test_cancelling_a_large_push_works_at_once(large, throttled, admin):
    job, worker = large
    begun = time.monotonic()
    services.request_cancel(job=job, actor=admin)
    worker.wait(60)
    job.refresh_from_db()
    took = time.monotonic() - begun
    assert job.state == "cancelled"
    # A second for the pause that was under way, a window for the KEK's own deletion at worst.
    assert took < 15, took
    assert throttled.vault.keks() == []


def test_a_second_users_single_push_gets_its_turn_and_the_large_one_goes_on_after(throttled, admin, settings):
    settings.KMES_TURN_SECONDS = 1
    settings.KMES_VAULT_WINDOW_SECONDS = 1
    throttled.stand_in.control("POST", "/_emulator/settings", {"throttle": False})
    bea = Actor.from_user(get_user_model().objects.create_user("bea", role="operator"))
    keys = make_keys(throttled.group, *[f"key-{number}" for number in range(40)], actor=admin)
    other = make_group(throttled.group.credential, throttled.group.vault.url, name="hers")
    (single,) = make_keys(other, "single", actor=admin)
    job = request_synchronize(keys=keys, actor=admin)
    hers = request_synchronize(keys=[single], actor=bea)
    order = []
    for _turn in range(30):
        due = scans.find_claimable()
        if not due:
            break
        # One worker only: the first in the queue has it until it gives way.
        now_working = Job.objects.get(pk=due[0])
        work(now_working)
        order.append((now_working.code, now_working.state))
    assert order[0] == (job.code, "queued"), "the large job gives way"
    assert order[1] == (hers.code, "succeeded"), "the single one has its turn next"
    assert order[-1] == (job.code, "succeeded")


def push_needs_another_kek(world, admin):
    """Push slowly, in batches of three: the first KEK ends before the job, and none is left."""
    world.fault(method="PUT", path="/keys/payments", delay_ms=800, count=20)
    keys = make_keys(world.group, *[f"key-{number}" for number in range(9)], actor=admin)
    job = work(request_synchronize(keys=keys, actor=admin))
    assert (job.state, job.error_what) == ("succeeded", "")
    assert job.keks.count() > 1
    assert len(world.vault.versions("payments")) == 9
    assert world.vault.keks() == []


def test_a_job_that_outlives_its_kek_gets_another_one(world, admin, monkeypatch, settings):
    monkeypatch.setattr(batches, "BATCH", 3)
    settings.KMES_KEK_LIFETIME_SECONDS = round(kek_ledger.EXPIRY_MARGIN.total_seconds()) + 2
    push_needs_another_kek(world, admin)


def test_a_kek_is_given_up_in_time_where_the_vaults_clock_is_ahead(world, admin, monkeypatch, settings):
    """Asked to live for two hours, it ends after one there: what comes later needs another one."""
    monkeypatch.setattr(batches, "BATCH", 3)
    world.set_clock_of_vault(1)
    settings.KMES_KEK_LIFETIME_SECONDS = 3600 + round(kek_ledger.EXPIRY_MARGIN.total_seconds()) + 2
    push_needs_another_kek(world, admin)
