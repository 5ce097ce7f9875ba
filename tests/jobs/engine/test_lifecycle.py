"""Claims, leases and fences: one worker at a time, and none that was thought dead may write."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.engine import lifecycle
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job, JobMessage
from jobs.schedule import scans
from jobs.services import request_retry
from kmes.core.clock import now
from tests.jobs.builders import make_keys, work

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job(db):
    return Job.objects.create(kind="self_test", actor_name="ada", trigger="user", run_after=now())


def test_only_one_of_two_workers_gets_a_job(job):
    assert lifecycle.claim(job.pk, owner="a") is not None
    assert lifecycle.claim(job.pk, owner="b") is None


def test_a_job_whose_lease_ran_out_goes_to_the_next_worker_and_the_old_one_may_not_write(job):
    old = lifecycle.claim(job.pk, owner="a")
    Job.objects.filter(pk=job.pk).update(lease_until=now() - timedelta(seconds=1))
    new = lifecycle.claim(job.pk, owner="b")
    assert new.fence == old.fence + 1
    with pytest.raises(lifecycle.LeaseLost):
        lifecycle.renew(old)
    with pytest.raises(lifecycle.LeaseLost):
        lifecycle.finish(old, "succeeded")
    lifecycle.finish(new, "succeeded")
    assert Job.objects.get(pk=job.pk).state == "succeeded"


def push_that_lost_workers(group, admin, count):
    """A push whose first runs ended without a word."""
    (key,) = make_keys(group, "one", actor=admin)
    job = request_synchronize(keys=[key], actor=admin)
    for _run in range(count):
        assert lifecycle.claim(job.pk, owner="lost") is not None
        Job.objects.filter(pk=job.pk).update(lease_until=now() - timedelta(seconds=1))
    return job


def test_a_job_that_loses_its_worker_each_time_fails_in_words_and_can_be_retried(group, admin, settings):
    settings.KMES_MAX_LOST_RUNS = 3
    job = work(push_that_lost_workers(group, admin, 3))
    assert (job.state, job.error_code) == ("failed", "workers_lost")
    assert job.error_what == "The worker was lost 3 times in a row during this job."
    assert job.targets.get().detail.startswith("The worker was lost 3 times")
    again = request_retry(job=job, actor=admin)
    assert work(again).state == "succeeded"


def test_lost_workers_are_forgotten_where_a_job_gets_on(group, admin, settings):
    settings.KMES_MAX_LOST_RUNS = 3
    job = push_that_lost_workers(group, admin, 2)
    JobMessage.objects.create(job=job, at=now(), text="Synchronizing 1 HSM protected key(s)...")
    work(job)
    assert (job.state, job.lost_runs) == ("succeeded", 0)
    assert job.messages.filter(text="The worker was lost; another one continues.").count() == 1


def test_a_fenced_write_of_a_stale_worker_is_rolled_back(job):
    old = lifecycle.claim(job.pk, owner="a")
    Job.objects.filter(pk=job.pk).update(fence=9)
    with pytest.raises(lifecycle.LeaseLost), lifecycle.fenced(old):
        JobMessage.objects.create(job=job, at=now(), text="never")
    assert not job.messages.exists()


def test_two_jobs_on_one_azure_key_do_not_run_at_once(job):
    Job.objects.filter(pk=job.pk).update(azure_lock="https://v/k")
    other = Job.objects.create(
        kind="self_test", actor_name="ada", trigger="user", run_after=now(), azure_lock="https://v/k"
    )
    held = lifecycle.claim(job.pk, owner="a")
    assert lifecycle.claim(other.pk, owner="b") is None
    other.refresh_from_db()
    assert (other.state, other.waiting_for) == ("queued", "another job on the same Azure key")
    lifecycle.finish(held, "succeeded")
    job.refresh_from_db()
    assert lifecycle.next_in_line(job.azure_lock) == other.pk
    assert lifecycle.claim(other.pk, owner="b") is not None


def test_a_job_is_not_claimed_before_its_time(job):
    Job.objects.filter(pk=job.pk).update(run_after=now() + timedelta(minutes=1))
    assert lifecycle.claim(job.pk, owner="a") is None


def test_the_scan_finds_what_nobody_claimed_and_what_nobody_finishes(job):
    assert scans.find_claimable() == [job.pk]
    lifecycle.claim(job.pk, owner="a")
    assert scans.find_claimable() == []
    Job.objects.filter(pk=job.pk).update(lease_until=now() - timedelta(seconds=1))
    assert scans.find_claimable() == [job.pk]
