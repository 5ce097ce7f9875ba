"""The Celery application: its settings, beat's scheduler, and the heartbeats that need Celery's own signals.

A message carries a job's id and nothing else; the Job row is the truth
(docs/decisions/0002-rows-are-the-truth.md). Therefore early acknowledgement, no result
backend, no eta, no soft time limits (they raise at any bytecode, also inside a commit).
"""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from celery import Celery
from celery.beat import PersistentScheduler, ScheduleEntry
from celery.exceptions import SecurityWarning
from celery.schedules import schedstate
from celery.signals import (
    after_task_publish,
    beat_init,
    heartbeat_sent,
    worker_before_create_process,
    worker_shutdown,
)
from django.conf import settings

from kmes.core import clock
from kmes.core.heartbeats import BEAT_KEY, HEARTBEAT_SECONDS, worker_key
from kmes.core.redis_connection import connect

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kmes.settings")
if os.geteuid() != 0:
    # Celery takes a group that the system has no name for to be root's (kmes.supervision.part_users).
    warnings.simplefilter("ignore", SecurityWarning)

app = Celery("kmes")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Beat sends tasks by name: it must not load the code that runs jobs, nor with that the device's.
app.autodiscover_tasks(lambda: [] if settings.KMES_PROCESS == "beat" else ["jobs"])

RENEW_SECONDS = 15
GARBAGE_THRESHOLD = 10_000


@beat_init.connect
def scan_at_start(**_: object) -> None:
    """Scan when beat starts: waiting jobs continue, and the device's state is known, one interval earlier."""
    app.send_task("jobs.tasks.scan_jobs")


# ``clock.now`` reads the settings, which can't be read yet when this module is imported.
_STARTED_AT, _STARTED = datetime.now(UTC), clock.steady()


def steady_now() -> datetime:
    """Return the wall clock's time at the start of this process plus the steady seconds since."""
    return _STARTED_AT + timedelta(seconds=clock.steady() - _STARTED)


class SteadyEntry(ScheduleEntry):  # type: ignore[misc]
    """A periodic task whose intervals do not depend on changes of the wall clock."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.schedule.nowfun = steady_now

    def default_now(self) -> datetime:
        """Return when a task that never ran is taken to have run last.

        By the wall clock, one that was set ahead since this process started would make the task due at once.
        """
        return steady_now()

    def is_due(self) -> schedstate:
        """Return whether to run now, and in how many seconds to ask again."""
        if self.last_run_at > steady_now():
            # The last run was recorded by a clock ahead of this one.
            return schedstate(is_due=True, next=self.schedule.seconds)
        return super().is_due()


class SteadyScheduler(PersistentScheduler):  # type: ignore[misc]
    """Beat's scheduler on a steady clock; Celery's own waits until a clock that was set back has caught up."""

    Entry = SteadyEntry


class WorkerHeartbeat:
    """Keeps a worker's heartbeat in Redis from expiring while the worker runs, and deletes it at its end.

    A scan writes the heartbeat (``jobs.schedule.scans.publish_heartbeat``). A scan waits while all processes of the
    worker are busy, and it may run on another host, so that the key would expire under a running worker.
    """

    def __init__(self) -> None:
        self._renew_at = 0.0

    def renew(self, **_: object) -> None:
        """Renew the expiry, at most every RENEW_SECONDS."""
        if time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + RENEW_SECONDS
            self._call(lambda client, key: client.expire(key, HEARTBEAT_SECONDS))

    def delete(self, **_: object) -> None:
        """Delete the heartbeat when the worker stops, so that it does not look alive for another minute."""
        self._call(lambda client, key: client.delete(key))

    def _call(self, action: Callable[[redis.Redis, str], object]) -> None:
        # An error needs no handling: the key expires, and the next renewal follows.
        with contextlib.suppress(redis.RedisError), connect(seconds=1) as client:
            action(client, worker_key(socket.gethostname()))


@after_task_publish.connect(sender="jobs.tasks.scan_jobs")
def publish_beat_heartbeat(**_: object) -> None:
    """Publish beat's heartbeat whenever it sends this task; only beat sends it, so no worker is involved."""
    with contextlib.suppress(redis.RedisError), connect(seconds=1) as client:
        client.set(BEAT_KEY, "1", ex=HEARTBEAT_SECONDS)


@worker_before_create_process.connect
def freeze_shared_objects(**_: object) -> None:
    """Exclude the objects that exist before the fork from garbage collection in the pool's processes.

    A collection writes to each object it visits, and a memory page that is written to is no longer shared.
    """
    gc.freeze()
    # A job makes thousands of rows without reference cycles; with Python's default of 700 a push spends 5 % of its
    # time in collections.
    gc.set_threshold(GARBAGE_THRESHOLD)


worker_heartbeat = WorkerHeartbeat()
heartbeat_sent.connect(worker_heartbeat.renew)
worker_shutdown.connect(worker_heartbeat.delete)
