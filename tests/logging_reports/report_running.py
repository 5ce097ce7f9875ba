"""The report worker in the test's own process, so that it sees the test's rows."""

from __future__ import annotations

from redis import Redis
from rq import Queue, SimpleWorker

from logging_reports import report_queue
from logging_reports.report_worker import ReportWorker


class WorkerHere(ReportWorker, SimpleWorker):
    """The product's worker without a fork."""


def open_queue(client: Redis) -> Queue:
    """Return the queue as the worker reads it."""
    return Queue(report_queue.QUEUE, connection=client, job_class=report_queue.ReportJob)


def run_reports(client: Redis) -> Queue:
    """Let the worker do what lies in its queue. Return the queue."""
    queue = open_queue(client)
    WorkerHere([queue], connection=client).work(burst=True, logging_level="ERROR")
    return queue
