"""A worker's heartbeat in Redis exists as long as the worker: also while it is busy, not after it stops."""

from __future__ import annotations

import socket

import pytest
import redis
from celery.signals import beat_init, heartbeat_sent, worker_shutdown

from kmes.celery import WorkerHeartbeat, app
from kmes.core.heartbeats import BEAT_KEY, HEARTBEAT_SECONDS, worker_key

WORKER_KEY = worker_key(socket.gethostname())


@pytest.fixture
def broker(redis_server):
    client = redis.Redis.from_url(redis_server, decode_responses=True)
    client.delete(WORKER_KEY, BEAT_KEY, "cloud")
    yield client
    client.delete(WORKER_KEY, BEAT_KEY, "cloud")
    client.close()


def test_a_running_worker_renews_its_heartbeat(broker):
    broker.set(WORKER_KEY, "{}", ex=5)
    heartbeat = WorkerHeartbeat()
    heartbeat.renew()
    assert broker.ttl(WORKER_KEY) > HEARTBEAT_SECONDS - 5
    # Not on every signal of Celery.
    broker.expire(WORKER_KEY, 5)
    heartbeat.renew()
    assert broker.ttl(WORKER_KEY) <= 5


def test_a_missing_heartbeat_is_not_created(broker):
    WorkerHeartbeat().renew()
    assert not broker.exists(WORKER_KEY)


def test_a_worker_that_stops_deletes_its_heartbeat(broker):
    broker.set(WORKER_KEY, "{}", ex=60)
    WorkerHeartbeat().delete()
    assert not broker.exists(WORKER_KEY)


def test_a_redis_that_is_down_hinders_nobody(settings):
    settings.KMES_REDIS_URL = "redis://127.0.0.1:1/0"
    WorkerHeartbeat().renew()
    WorkerHeartbeat().delete()


def test_beat_asks_for_a_scan_as_it_starts(broker):
    beat_init.send(sender=None)
    assert broker.llen("cloud") == 1
    assert "jobs.tasks.scan_jobs" in broker.lindex("cloud", 0)


def test_only_the_scan_that_beat_sends_publishes_its_heartbeat(broker):
    app.send_task("jobs.tasks.sweep_keks")
    assert not broker.exists(BEAT_KEY)
    app.send_task("jobs.tasks.scan_jobs")
    assert broker.ttl(BEAT_KEY) > HEARTBEAT_SECONDS - 5


def test_the_signals_are_connected():
    assert heartbeat_sent.receivers
    assert worker_shutdown.receivers
