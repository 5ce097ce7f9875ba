"""Which job goes first: one to be cancelled, then what people request, then the schedule's."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs import tasks
from jobs.engine import hints, lifecycle, precedence
from jobs.engine.interruptions import Yielded
from jobs.engine.run import JobRun
from jobs.engine.signatures import sign_job
from jobs.engine.turns import yield_to_waiting
from jobs.models import Job
from jobs.schedule import scans
from kmes.core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)
SCHEDULED = 1_000


def make(trigger, *, ago=0.0, **values) -> Job:
    due = now() - timedelta(seconds=ago)
    job = Job(kind="self_test", actor_name="ada", trigger=trigger, run_after=due, **values)
    if job.requested_by_id:
        sign_job(job, [])
    job.save()
    return job


@pytest.fixture
def backlog(db):
    """A thousand jobs of the schedule that are due, longest first."""
    jobs = [
        Job(
            kind="self_test",
            actor_name="schedule",
            trigger="schedule",
            run_after=now() - timedelta(seconds=3600 - number),
        )
        for number in range(SCHEDULED)
    ]
    sign_job(jobs[0], [])
    return Job.objects.bulk_create(jobs)


def test_whichever_hint_comes_next_a_persons_job_is_run_before_the_schedules(backlog):
    older, newer = make("user", ago=5), make("api")
    held = make("user", waiting_for="another job on the same Azure key")
    cancelled = make("schedule", waiting_for="the vault", cancel_requested_at=now())
    order = list(precedence.in_order(backlog[0].pk))
    assert order == [cancelled.pk, older.pk, newer.pk, backlog[0].pk]
    assert held.pk not in order
    assert list(precedence.in_order(newer.pk)) == [cancelled.pk, newer.pk]


def test_a_job_behind_a_thousand_scheduled_ones_starts_with_the_next_hint(backlog, device, admin):
    persons = make("user", requested_by_id=admin.user_id)
    tasks.run_job(str(backlog[0].pk))
    scheduled = Job.objects.get(pk=backlog[0].pk)
    persons.refresh_from_db()
    assert (persons.state, scheduled.state) == ("succeeded", "succeeded")
    assert persons.finished_at <= scheduled.started_at


def test_a_scheduled_job_gives_way_to_a_person_at_once():
    run = running("schedule")
    make("schedule")
    yield_to_waiting(run)
    make("user")
    with pytest.raises(Yielded):
        yield_to_waiting(run)


def test_a_persons_job_keeps_its_turn(settings):
    run = running("user")
    make("user")
    yield_to_waiting(run)
    run.turn_began -= settings.KMES_TURN_SECONDS
    with pytest.raises(Yielded):
        yield_to_waiting(run)


def running(trigger) -> JobRun:
    job = make(trigger)
    claim = lifecycle.claim(job.pk, owner="w")
    job.refresh_from_db()
    return JobRun(job, claim)


def test_a_scan_hints_at_people_first(backlog):
    persons = make("user")
    assert scans.find_claimable()[0] == persons.pk


def test_while_the_broker_holds_hints_a_scan_leaves_out_what_fell_due_before_the_last_scans(backlog, settings):
    late = make("schedule", ago=settings.KMES_SCAN_SECONDS)
    lost = make("user", ago=3600, state="running", lease_until=now() - timedelta(seconds=1))
    assert set(scans.find_claimable(has_hints=True)) == {late.pk, lost.pk}
    assert len(scans.find_claimable(has_hints=False)) == scans.SCAN_LIMIT


def test_a_broker_out_of_reach_holds_no_hints(settings):
    settings.KMES_REDIS_URL = "redis://127.0.0.1:1/0"
    assert hints.has_any() is False
