"""Celery's side of jobs: tasks that take an id at most, and do nothing themselves."""

from __future__ import annotations

import logging
import os
import socket
import time
from functools import partial
from typing import Any
from uuid import UUID

from celery import Task, shared_task
from celery.signals import worker_init, worker_shutting_down
from django.db import transaction
from kombu.exceptions import OperationalError

from jobs.certifications import progress as certifications
from jobs.engine import execution, shutdown
from jobs.engine.compatibility import is_fit
from jobs.journal import kek_ledger
from jobs.schedule import log_checkpoints, reminders, scans
from kmes.core import language
from kmes.core.errors import KmesError

logger = logging.getLogger(__name__)

SLOW_SECONDS = 1
PAUSE_SECONDS = 10


@worker_init.connect  # type: ignore[untyped-decorator]
def begin(**_: object) -> None:
    """A worker begins."""
    shutdown.forget()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def let_jobs_give_way(**_: object) -> None:
    """Let long jobs go back into the queue instead of holding up the worker's end."""
    shutdown.ask()


class RecordTask(Task):  # type: ignore[misc]
    """A task of the worker: what it writes is kept, so it is English whatever the worker's locale."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task."""
        with language.of_records():
            return super().__call__(*args, **kwargs)


class HintTask(RecordTask):
    """A task whose message may get lost: sending it never fails the sender, nor holds it up for long."""

    # A broker that is frozen costs each hint a time-out, and a page may send many: the next ones are left out.
    pause_until = 0.0

    def hint(self, job_id: UUID) -> None:
        """Send the hint now; a broker that is down is logged, the scan will find the row."""
        began = time.monotonic()
        if began < HintTask.pause_until:
            return
        try:
            # Once: whoever waits for the page gains nothing by a second try.
            self.apply_async((str(job_id),), retry=False)
        except (OperationalError, OSError):
            logger.warning("the broker is out of reach; the scan will find job %s", job_id)
            if time.monotonic() - began > SLOW_SECONDS:
                HintTask.pause_until = time.monotonic() + PAUSE_SECONDS

    def hint_on_commit(self, job_id: UUID) -> None:
        """Send the hint when the transaction that made or freed the job has committed."""
        transaction.on_commit(partial(self.hint, job_id), robust=True)


@shared_task(base=HintTask, ignore_result=True)  # type: ignore[untyped-decorator]
def run_job(job_id: str) -> None:
    """Run one job, if it is due and nobody has it."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    waiting = execution.execute(UUID(job_id), owner=owner)
    if waiting is not None:
        run_job.hint(waiting)
    if is_fit():
        certifications.follow(UUID(job_id))


@shared_task(base=RecordTask, ignore_result=True)  # type: ignore[untyped-decorator]
def scan_jobs() -> None:
    """Send hints for jobs that are due and whose hint got lost or was early; then see to the log's checkpoint."""
    if not scans.beat_heart():
        return
    for job_id in scans.jobs_to_poke():
        run_job.hint(job_id)
    certifications.follow_all()
    scans.poke_notices()
    try:
        log_checkpoints.make_if_due()
    except KmesError as error:
        # The heartbeat has said so already; the next scan tries again.
        logger.warning("no checkpoint of the log could be made (%s)", error.code)


@shared_task(base=RecordTask, ignore_result=True)  # type: ignore[untyped-decorator]
def scan_rotations() -> None:
    """Make the jobs of rotations that fell due; each sends its own hint."""
    if is_fit():
        scans.scan_rotations()


@shared_task(base=RecordTask, ignore_result=True)  # type: ignore[untyped-decorator]
def scan_drift() -> None:
    """Make the jobs that compare groups with their vaults, and that settle what ended in doubt."""
    if is_fit():
        scans.scan_leftovers()
        scans.scan_drift()


@shared_task(base=RecordTask, ignore_result=True)  # type: ignore[untyped-decorator]
def remind() -> None:
    """Remind of what expires and of rotations that were missed."""
    if is_fit():
        reminders.remind()


@shared_task(base=RecordTask, ignore_result=True)  # type: ignore[untyped-decorator]
def sweep_keks() -> None:
    """Discard ephemeral keys that were left behind."""
    if is_fit():
        kek_ledger.sweep()
