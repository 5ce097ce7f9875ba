"""Beat goes on evenly whatever is done to the clock."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import redis
import time_machine

from kmes import celery
from kmes.celery import SteadyScheduler, app, steady_now

HOUR = timedelta(hours=1)


@pytest.fixture
def sent(redis_server):
    """The queue that beat's messages go to."""
    with redis.Redis.from_url(redis_server, decode_responses=True) as queue:
        queue.delete("cloud")
        yield queue
        queue.delete("cloud")


@pytest.fixture
def begin(tmp_path, sent):
    """Start a beat that remembers what earlier ones did."""
    made = []

    def start():
        while made:
            made.pop().close()
        made.append(SteadyScheduler(app=app, schedule_filename=str(tmp_path / "schedule"), lazy=False))
        return made[0]

    yield start
    made[0].close()


def pass_by(monkeypatch, seconds):
    """Let that much time pass by the machine's uptime."""
    monkeypatch.setattr(celery, "_STARTED", celery._STARTED - seconds)


def tick(scheduler, queue):
    """Let beat do all that is due; returns the names of the tasks it asked for."""
    queue.delete("cloud")
    for _entry in range(len(scheduler.schedule) + 1):
        scheduler.tick()
    messages = [json.loads(message) for message in queue.lrange("cloud", 0, -1)]
    return {message["headers"]["task"].rpartition(".")[2] for message in messages}


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["ahead", "back"])
def test_a_clock_that_is_set_neither_silences_beat_nor_hurries_it(jump, begin, sent, monkeypatch):
    beat = begin()
    assert tick(beat, sent) == set()
    with time_machine.travel(steady_now() + jump, tick=True):
        assert tick(beat, sent) == set()
        pass_by(monkeypatch, 70)
        assert tick(beat, sent) == {"scan_jobs", "scan_rotations"}
        pass_by(monkeypatch, 70)
        assert tick(beat, sent) == {"scan_jobs", "scan_rotations"}


def test_a_beat_made_long_after_its_process_started_on_a_clock_since_set_ahead_waits_its_turn(begin, sent):
    with time_machine.travel(steady_now() + HOUR, tick=True):
        assert tick(begin(), sent) == set()


def test_a_beat_that_starts_after_the_clock_was_set_back_works_at_once(begin, sent, monkeypatch):
    beat = begin()
    tick(beat, sent)
    pass_by(monkeypatch, 2 * 3600)
    assert "scan_jobs" in tick(beat, sent)
    beat.close()
    pass_by(monkeypatch, -3600)
    assert {"scan_jobs", "scan_rotations", "sweep_keks"} <= tick(begin(), sent)


def test_beat_is_started_with_this_scheduler(settings):
    assert settings.CELERY_BEAT_SCHEDULER == "kmes.celery:SteadyScheduler"
