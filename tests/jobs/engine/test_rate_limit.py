"""All workers together keep each vault's rate limit, so that the vault refuses nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from cloudcreds.rate_limit import confirm, reserve
from jobs.engine import lifecycle, turns
from jobs.engine.interruptions import Yielded
from jobs.engine.run import JobRun
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from kmes.core.clock import now
from tests.jobs.builders import make_group, make_keys, work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


@pytest.fixture
def paced(settings):
    """Pace custom endpoints as Azure's own."""
    settings.KMES_PACE_CUSTOM_ENDPOINTS = True


def test_ten_changes_go_at_once_and_the_next_waits_for_the_window(group, paced, monkeypatch):
    at = [timezone.now()]
    monkeypatch.setattr(timezone, "now", lambda: at[0])
    waits = [reserve(group.vault) for _change in range(21)]
    assert waits == pytest.approx([0.0] * 10 + [10.25] * 10 + [20.5], abs=0.01)
    at[0] += timedelta(seconds=60)
    assert reserve(group.vault) == 0.0


def test_a_change_that_arrives_late_shifts_what_comes_after(group, paced, monkeypatch):
    at = [timezone.now()]
    monkeypatch.setattr(timezone, "now", lambda: at[0])
    for _change in range(10):
        reserve(group.vault)
        at[0] += timedelta(seconds=0.5)
        confirm(group.vault)
    # The first arrived half a second after it was reserved; five seconds have passed since the first.
    assert reserve(group.vault) == pytest.approx(10.25 + 0.5 - 5, abs=0.01)


def test_another_vault_is_not_slowed_down(group, credential, azure_stand_in, paced):
    for _change in range(30):
        reserve(group.vault)
    other = make_group(credential, azure_stand_in.vault_url("kv-protected"), name="other")
    assert reserve(other.vault) == 0.0


def test_a_scheduled_job_that_waits_for_the_window_lets_a_persons_go_first(group, paced):
    for _change in range(10):
        reserve(group.vault)
    job = Job.objects.create(kind="rotate", actor_name="schedule", trigger="schedule", run_after=now())
    claim = lifecycle.claim(job.pk, owner="w")
    job.refresh_from_db()
    Job.objects.create(kind="self_test", actor_name="ada", trigger="user", run_after=now())
    with pytest.raises(Yielded):
        turns.wait_for_rate_limit(JobRun(job, claim), group.vault)


def test_custom_endpoints_have_no_limit_unless_told(group):
    assert [reserve(group.vault) for _change in range(30)] == [0.0] * 30


def test_a_large_job_collects_no_refusal_from_a_vault_with_the_real_limit(
    group, admin, vault, azure_stand_in, paced, monkeypatch
):
    azure_stand_in.control("POST", "/_emulator/settings", {"throttle": True})
    keys = make_keys(group, *[f"key-{number}" for number in range(12)], actor=admin)
    slept = []
    real = turns.time.sleep
    monkeypatch.setattr(turns.time, "sleep", lambda seconds: (slept.append(seconds), real(seconds)))
    job = work(request_synchronize(keys=keys, actor=admin))
    assert job.state == "succeeded"
    assert len(vault.versions("payments")) == 12
    refusals = [e for e in azure_stand_in.control("GET", "/_emulator/requests") if e["status"] == 429]
    assert refusals == []
    assert sum(slept) > 5, "three more than a window must wait for it"
    creates = [e for e in azure_stand_in.control("GET", "/_emulator/requests") if e["path"].endswith("/create")]
    assert len([e for e in creates if e["status"] == 200]) == 1, "one KEK per job"
