"""Random walks of jobs between workers: who has lost a claim writes nothing, what has ended stays ended."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from jobs.choices import JobState
from jobs.engine import lifecycle
from jobs.engine.lifecycle import LeaseLost
from jobs.models import Job
from kmes.core.clock import now

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]
WALKS = 60 if os.environ.get("FAULTS") == "all" else 20
LOCKS = ("", "https://kv/a", "https://kv/b")


class Office(RuleBasedStateMachine):
    """Jobs, and workers that hold, lose and give back claims on them."""

    claims = Bundle("claims")

    def __init__(self):
        super().__init__()
        self.jobs = []
        self.ended = {}
        self.fences = {}

    def _job(self, number):
        return Job.objects.get(pk=self.jobs[number % len(self.jobs)]) if self.jobs else None

    def _holds(self, held):
        return Job.objects.filter(pk=held.job_id, fence=held.fence, state="running").exists()

    def _only_with_the_claim(self, held, move):
        """A move succeeds exactly when the claim still holds."""
        held_before = self._holds(held)
        try:
            move()
        except LeaseLost:
            assert not held_before
        else:
            assert held_before

    @rule(lock=st.sampled_from(LOCKS))
    def ask(self, lock):
        if len(self.jobs) < 5:
            job = Job.objects.create(
                kind="synchronize", actor_name="ada", trigger="user", azure_lock=lock, run_after=now()
            )
            self.jobs.append(job.pk)

    @rule(target=claims, number=st.integers(0, 9), owner=st.sampled_from(["one", "two"]))
    def claim(self, number, owner):
        job = self._job(number)
        held = lifecycle.claim(job.pk, owner=owner) if job else None
        if held is None:
            return multiple()
        assert held.fence > self.fences.get(held.job_id, 0), "a fence that was used before"
        self.fences[held.job_id] = held.fence
        return held

    @rule(number=st.integers(0, 9))
    def let_a_lease_run_out(self, number):
        job = self._job(number)
        if job:
            Job.objects.filter(pk=job.pk, state="running").update(lease_until=now() - timedelta(seconds=1))

    @rule(held=claims)
    def renew(self, held):
        self._only_with_the_claim(held, lambda: lifecycle.renew(held))

    @rule(held=consumes(claims), state=st.sampled_from(["succeeded", "failed", "cancelled"]))
    def finish(self, held, state):
        holds = self._holds(held)
        self._only_with_the_claim(held, lambda: lifecycle.finish(held, JobState(state)))
        if holds:
            self.ended[held.job_id] = state

    @rule(held=consumes(claims))
    def give_back(self, held):
        self._only_with_the_claim(held, lambda: lifecycle.release(held, run_after=now(), waiting_for="a while"))

    @rule(number=st.integers(0, 9))
    def cancel(self, number):
        job = self._job(number)
        if job is None:
            return
        if lifecycle.cancel_queued(job, by="ada"):
            assert job.started_at is None
            self.ended[job.pk] = "cancelled"
        else:
            assert lifecycle.request_cancel(job, by="ada") == (job.pk not in self.ended)

    @invariant()
    def what_has_ended_stays_as_it_ended(self):
        assert dict(Job.objects.filter(pk__in=self.ended).values_list("pk", "state")) == self.ended

    @invariant()
    def one_running_job_per_azure_key(self):
        locks = list(
            Job.objects.filter(pk__in=self.jobs, state="running")
            .exclude(azure_lock="")
            .values_list("azure_lock", flat=True)
        )
        assert len(locks) == len(set(locks))

    @invariant()
    def who_runs_has_a_lease_and_who_does_not_has_none(self):
        for state, lease in Job.objects.filter(pk__in=self.jobs).values_list("state", "lease_until"):
            assert (lease is not None) == (state == "running")

    def teardown(self):
        # The next walk's jobs must not wait for the keys of this one.
        Job.objects.filter(pk__in=self.jobs, state="running").update(state="failed", lease_until=None)


def test_jobs_keep_their_promises_on_every_walk(db):
    run_state_machine_as_test(
        Office,
        settings=settings(
            max_examples=WALKS, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
