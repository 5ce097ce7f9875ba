"""The Celery application: broker settings, and the signs of life that need Celery's own signals.

A message is a hint that carries a job's id and nothing else; the Job row is the truth
(docs/decisions/0002-rows-are-the-truth.md). Therefore early acknowledgement, no result
backend, no eta, no soft time limits (they raise at any bytecode, also inside a commit).
"""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from celery import Celery
from celery.beat import PersistentScheduler, ScheduleEntry
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

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kmes.settings")

app = Celery("kmes")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Beat sends tasks by name: it must not load the code that runs jobs, nor with that the device's.
app.autodiscover_tasks(lambda: [] if settings.KMES_PROCESS == "beat" else ["jobs"])

WORD_SECONDS = 60
RENEW_SECONDS = 15
GARBAGE_THRESHOLD = 10_000
BEAT_WORD = "kmes:heartbeat:beat"


@beat_init.connect
def scan_at_once(**_: object) -> None:
    """Scan as beat starts: jobs left from before go on, and the worker's device is known, one interval sooner."""
    app.send_task("jobs.tasks.scan_jobs")


# Not by ``clock.now``, which reads the settings: this module is imported before they can be read.
_BEGAN_AT, _BEGAN = datetime.now(UTC), clock.steady()


def even_now() -> datetime:
    """Return the time that the clock showed as this process began, gone on evenly since."""
    return _BEGAN_AT + timedelta(seconds=clock.steady() - _BEGAN)


class EvenEntry(ScheduleEntry):  # type: ignore[misc]
    """One periodic task, whose intervals pass whatever is done to the clock."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.schedule.nowfun = even_now

    def is_due(self) -> schedstate:
        """Return whether to run now, and in how many seconds to ask again."""
        if self.last_run_at > even_now():
            # Beat ran last by a clock that was ahead of this one.
            return schedstate(is_due=True, next=self.schedule.seconds)
        return super().is_due()


class EvenScheduler(PersistentScheduler):  # type: ignore[misc]
    """Beat's scheduler by an even clock: Celery's own waits until a clock that was set back has caught up."""

    Entry = EvenEntry


class WordKeeper:
    """Lets a worker's last word in Redis live exactly as long as the worker does.

    The word is written by a scan (``jobs.schedule.scans.beat_heart``), which waits while all of the worker's
    processes are busy, and which is another host's turn as often as this one's.
    """

    def __init__(self) -> None:
        self._next = 0.0

    def prolong(self, **_: object) -> None:
        """Let the word live on, at most every RENEW_SECONDS."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + RENEW_SECONDS
            self._do(lambda client, word: client.expire(word, WORD_SECONDS))

    def end(self, **_: object) -> None:
        """Take the word back as the worker stops, so that nobody counts on it for a minute more."""
        self._do(lambda client, word: client.delete(word))

    def _do(self, action: Callable[[redis.Redis, str], object]) -> None:
        client = redis.Redis.from_url(settings.KMES_REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
        # What goes wrong here ends by itself: the word has an expiry, and the next turn comes.
        with contextlib.suppress(redis.RedisError), client:
            action(client, f"kmes:heartbeat:worker:{socket.gethostname()}")


@after_task_publish.connect(sender="jobs.tasks.scan_jobs")
def say_that_beat_lives(**_: object) -> None:
    """Leave beat's own word: nobody else sends this task, so that a silent worker can't silence beat's word."""
    client = redis.Redis.from_url(settings.KMES_REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    with contextlib.suppress(redis.RedisError), client:
        client.set(BEAT_WORD, "1", ex=WORD_SECONDS)


@worker_before_create_process.connect
def keep_shared(**_: object) -> None:
    """Keep what the processes of the pool are born with out of their garbage collections.

    A collection writes into each object it looks at, and what is written to is shared no longer.
    """
    gc.freeze()
    # A job makes thousands of rows and none of them in circles: with Python's own 700 a push spends a twentieth of
    # its time looking for some.
    gc.set_threshold(GARBAGE_THRESHOLD)


word_keeper = WordKeeper()
heartbeat_sent.connect(word_keeper.prolong)
worker_shutdown.connect(word_keeper.end)
