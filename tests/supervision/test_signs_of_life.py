"""A worker's word in Redis lives as long as the worker: no shorter while it is busy, no longer when it stops."""

from __future__ import annotations

import socket

import pytest
import redis
from celery.signals import beat_init, heartbeat_sent, worker_shutdown

from kmes.celery import BEAT_WORD, WORD_SECONDS, WordKeeper, app

WORD = f"kmes:heartbeat:worker:{socket.gethostname()}"


@pytest.fixture
def broker(redis_server):
    client = redis.Redis.from_url(redis_server, decode_responses=True)
    client.delete(WORD, BEAT_WORD, "cloud")
    yield client
    client.delete(WORD, BEAT_WORD, "cloud")
    client.close()


def test_a_living_worker_prolongs_its_word(broker):
    broker.set(WORD, "{}", ex=5)
    keeper = WordKeeper()
    keeper.prolong()
    assert broker.ttl(WORD) > WORD_SECONDS - 5
    # Not at every beat of Celery's heart.
    broker.expire(WORD, 5)
    keeper.prolong()
    assert broker.ttl(WORD) <= 5


def test_a_word_that_was_never_given_is_not_made_up(broker):
    WordKeeper().prolong()
    assert not broker.exists(WORD)


def test_a_worker_that_stops_takes_its_word_back(broker):
    broker.set(WORD, "{}", ex=60)
    WordKeeper().end()
    assert not broker.exists(WORD)


def test_a_redis_that_is_down_hinders_nobody(settings):
    settings.KMES_REDIS_URL = "redis://127.0.0.1:1/0"
    WordKeeper().prolong()
    WordKeeper().end()


def test_beat_asks_for_a_scan_as_it_starts(broker):
    beat_init.send(sender=None)
    assert broker.llen("cloud") == 1
    assert "jobs.tasks.scan_jobs" in broker.lindex("cloud", 0)


def test_beat_says_itself_that_it_lives_and_no_other_task_says_so(broker):
    app.send_task("jobs.tasks.sweep_keks")
    assert not broker.exists(BEAT_WORD)
    app.send_task("jobs.tasks.scan_jobs")
    assert broker.ttl(BEAT_WORD) > WORD_SECONDS - 5


def test_the_signals_reach_the_keeper():
    assert heartbeat_sent.receivers
    assert worker_shutdown.receivers
