"""What a clock that is set an hour ahead or back does to rotations and to jobs that wait: none doubled, none lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from cloudcreds import rate_limit
from hsm.models import HsmDevice
from jobs.engine import lifecycle
from jobs.models import Job
from jobs.schedule import clock_guard, scans
from keygroups import lifecycle as key_lifecycle
from keygroups.models import KeyGroup, RotationSlot
from kmes.core import clock
from tests.jobs.pages.browsing import group, make_job

__all__ = ["group"]
pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


class Machine:
    """A machine whose clock can be set while its uptime goes on."""

    def __init__(self):
        self.clock, self.uptime = timezone.now(), 5000.0

    def pass_by(self, time):
        """Let time pass."""
        self.clock += time
        self.uptime += time.total_seconds()

    def scan_for(self, time):
        """Let time pass with a look of the schedule each minute; returns how many rotations it began."""
        begun, end = 0, self.uptime + time.total_seconds()
        while self.uptime < end:
            self.pass_by(MINUTE)
            begun += len(scans.scan_rotations())
        return begun


@pytest.fixture
def machine(monkeypatch):
    """The machine that these tests run on."""
    here = Machine()
    monkeypatch.setattr(timezone, "now", lambda: here.clock)
    monkeypatch.setattr(clock, "uptime", lambda: clock.Uptime("this life", here.uptime))
    return here


@pytest.fixture
def due_in(group, machine):
    """Let the group's rotation fall due after some time."""
    HsmDevice.objects.create(serial="S-1", label="KMES", mfk_public_spki=b"x", is_designated=True)

    def set_due(time):
        KeyGroup.objects.update(rotate=True)
        group.refresh_from_db()
        key_lifecycle.schedule_rotation(group=group, anchor_at=machine.clock - 90 * DAY)
        wanted = machine.clock + time
        KeyGroup.objects.update(rotation_anchor_at=wanted - 90 * DAY, next_due_at=wanted)
        assert clock_guard.tick()
        return wanted

    return set_due


def served():
    return list(RotationSlot.objects.exclude(job_id=None).values_list("due_at", flat=True))


@pytest.mark.parametrize("jump", [HOUR - MINUTE, HOUR + 2 * MINUTE], ids=["too little to tell", "noticed"])
def test_a_clock_set_ahead_past_a_due_moment_and_right_again_makes_one_rotation(due_in, machine, jump):
    wanted = due_in(30 * MINUTE)
    machine.clock += jump
    begun = machine.scan_for(5 * MINUTE)
    machine.clock -= jump
    begun += machine.scan_for(2 * HOUR)
    assert begun == 1
    assert served() == [wanted]


def test_a_clock_set_back_after_a_rotation_was_served_does_not_serve_it_again(due_in, machine):
    wanted = due_in(2 * MINUTE)
    assert machine.scan_for(3 * MINUTE) == 1
    machine.clock -= HOUR
    assert machine.scan_for(3 * HOUR) == 0
    assert served() == [wanted]


@pytest.mark.parametrize("jump", [HOUR, -HOUR, HOUR + 2 * MINUTE], ids=["ahead", "back", "noticed"])
def test_a_clock_that_is_set_as_a_rotation_falls_due_loses_none_and_doubles_none(due_in, machine, jump):
    due_in(MINUTE)
    machine.pass_by(MINUTE - SECOND)
    machine.clock += jump
    machine.pass_by(SECOND)
    assert len(scans.scan_rotations()) + machine.scan_for(2 * HOUR + 15 * MINUTE) == 1


def test_what_waits_by_a_clock_that_was_set_back_looks_again_at_once(group, machine, settings):
    clock_guard.tick()
    # Both were written before the clock was set back by an hour.
    waiting = make_job(group, state="queued", run_after=machine.clock + 2 * MINUTE)
    running = make_job(state="running", lease_until=machine.clock + MINUTE, fence=1, lease_owner="who died")
    machine.clock -= HOUR
    machine.pass_by(MINUTE)
    assert scans.find_claimable() == []
    clock_guard.tick()
    assert scans.find_claimable() == [waiting.pk]
    machine.pass_by(timedelta(seconds=settings.KMES_LEASE_SECONDS + 1))
    assert set(scans.find_claimable()) == {waiting.pk, running.pk}
    assert lifecycle.claim(running.pk, owner="the next").fence == 2


def test_steady_looks_leave_waiting_jobs_alone(group, machine):
    clock_guard.tick()
    job = make_job(group, state="queued", run_after=machine.clock + HOUR)
    machine.pass_by(MINUTE)
    clock_guard.tick()
    assert Job.objects.get(pk=job.pk).run_after == job.run_after


def test_the_pace_of_a_vault_forgets_moments_from_before_the_clock_was_set_back(group, machine, settings):
    settings.KMES_PACE_CUSTOM_ENDPOINTS = True
    settings.KMES_VAULT_CHANGES, settings.KMES_VAULT_WINDOW_SECONDS = 2, 10
    for _change in range(2):
        assert rate_limit.reserve(group.vault) == 0
    assert 10 < rate_limit.reserve(group.vault) < 11
    machine.clock -= HOUR
    assert rate_limit.reserve(group.vault) == 0
