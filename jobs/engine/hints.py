"""Hints to the workers: a job's id, sent to the broker after the commit.

A hint may get lost, because the scan finds the row (``jobs.schedule.scans``). Sends by the task's name, so
that a process that asks for jobs loads none of the code that runs them.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from uuid import UUID

import redis
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from kmes.core.redis_connection import connect

logger = logging.getLogger(__name__)

RUN_JOB = "jobs.tasks.run_job"
SLOW_SECONDS = 1
PAUSE_SECONDS = 10


class Pause:
    """A frozen broker costs each hint a time-out, and a page may send many: the next ones are left out."""

    until = 0.0


def send(job_id: UUID) -> None:
    """Send the hint now. Neither fails the sender nor holds it up for long: a broker that is down is logged."""
    began = time.monotonic()
    if began < Pause.until:
        return
    try:
        # Once: whoever waits for the page gains nothing by a second try.
        current_app.send_task(RUN_JOB, (str(job_id),), retry=False, ignore_result=True)
    except (OperationalError, OSError):
        logger.warning("the broker is out of reach; the scan will find job %s", job_id)
        if time.monotonic() - began > SLOW_SECONDS:
            Pause.until = time.monotonic() + PAUSE_SECONDS


def send_after_commit(job_id: UUID, *, seconds: float) -> None:
    """Send the hint some seconds after the transaction has committed, so that the job does not wait for the next scan.

    Lost with this process: the scan finds the job then.
    """

    def wait() -> None:
        timer = threading.Timer(seconds, send, (job_id,))
        timer.daemon = True
        timer.start()

    transaction.on_commit(wait, robust=True)


def has_any() -> bool:
    """Return whether the broker holds messages that no worker has taken; False when it can't be asked."""
    try:
        with connect(seconds=2) as client:
            return bool(client.llen(settings.CELERY_TASK_DEFAULT_QUEUE))
    except redis.RedisError:
        return False


def send_on_commit(job_id: UUID) -> None:
    """Send the hint when the transaction that made or freed the job has committed."""
    transaction.on_commit(partial(send, job_id), robust=True)
