"""Celery's side of jobs: tasks that take a job's id at most, and leave the work to other modules."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any
from uuid import UUID

from celery import Task, shared_task
from celery.signals import worker_init, worker_shutting_down
from django.db import DatabaseError

from jobs.approvals import services as approvals
from jobs.certifications import progress as certifications
from jobs.engine import admission, execution, hints, precedence, shutdown
from jobs.engine.compatibility import is_fit
from jobs.journal import kek_sweep
from jobs.schedule import after_scan, log_checkpoints, reminders, scans
from kmes.accounts import sign_in_limits
from kmes.core import language
from kmes.core.errors import KmesError
from logging_reports import time_stamp_requests
from logging_reports.forwarding import alarms, queue

logger = logging.getLogger(__name__)


@worker_init.connect  # type: ignore[untyped-decorator]
def begin_worker(sender: Any = None, **_: object) -> None:
    """Forget that the worker before this one was asked to stop, and load what runs jobs."""
    shutdown.reset()
    processes = getattr(sender, "concurrency", 0)
    admission.Pool.processes = processes if isinstance(processes, int) else 0
    execution.load_runners()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def return_jobs_to_queue(**_: object) -> None:
    """Return long jobs to the queue instead of holding up the worker's end."""
    shutdown.request()


class RecordTask(Task):  # type: ignore[misc]
    """A task of the worker: what it writes is kept, so it is English whatever the worker's locale."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task."""
        with language.of_records():
            return super().__call__(*args, **kwargs)


@shared_task(base=RecordTask, ignore_result=True)  # type: ignore[untyped-decorator]
def run_job(job_id: str) -> None:
    """Run one job, if it is due and nobody has it, after the waiting jobs that go before it."""
    try:
        for each in precedence.in_order(UUID(job_id)):
            _run(each)
    except DatabaseError:
        logger.exception("job %s can't be run now: the database failed", job_id)


def _run(job_id: UUID) -> None:
    waiting = execution.execute(job_id, owner=f"{socket.gethostname()}:{os.getpid()}")
    if waiting is not None:
        hints.send(waiting)
    if is_fit():
        certifications.follow(job_id)


@shared_task(base=RecordTask, ignore_result=True)  # type: ignore[untyped-decorator]
def scan_jobs() -> None:
    """Send hints for jobs that are due and whose hint was lost or came early; then make the log's checkpoint, and have it stamped and forwarded."""
    if not scans.publish_heartbeat():
        return
    for job_id in scans.find_claimable(has_hints=hints.has_any()):
        hints.send(job_id)
    approvals.end_expired()
    certifications.follow_all()
    scans.hint_due_deliveries()
    sign_in_limits.log_repeated()
    try:
        log_checkpoints.make_if_due()
    except KmesError as error:
        # The heartbeat shows it already; the next scan tries again.
        logger.warning("no checkpoint of the log could be made (%s)", error.code)
    time_stamp_requests.hint()
    alarms.check()
    queue.hint_if_due()
    after_scan.run_all()


@shared_task(base=RecordTask, ignore_result=True)  # type: ignore[untyped-decorator]
def scan_rotations() -> None:
    """Create the jobs of rotations that are due; each sends its own hint."""
    if is_fit():
        scans.scan_rotations()


@shared_task(base=RecordTask, ignore_result=True)  # type: ignore[untyped-decorator]
def scan_drift() -> None:
    """Create the jobs that compare groups with their vaults, also where a job ended in doubt, and that read vaults."""
    if is_fit():
        scans.scan_leftovers()
        scans.scan_drift()
        scans.scan_vaults()


@shared_task(base=RecordTask, ignore_result=True)  # type: ignore[untyped-decorator]
def remind() -> None:
    """Log reminders of what expires soon and of rotations that were missed."""
    if is_fit():
        reminders.remind()


@shared_task(base=RecordTask, ignore_result=True)  # type: ignore[untyped-decorator]
def sweep_keks() -> None:
    """Discard ephemeral keys that jobs left behind."""
    if is_fit():
        kek_sweep.sweep()
