"""The report worker: RQ's worker with the tasks of this package, which takes no orders from Redis.

Importing this module registers all tasks.
"""

from __future__ import annotations

from typing import Any

from redis.exceptions import ResponseError
from rq import Queue, Worker
from rq.utils import as_text, current_timestamp, now
from rq.worker_registration import REDIS_WORKER_KEYS, WORKERS_BY_QUEUE_KEY, clean_worker_registry

from logging_reports import rq_jobs, time_stamp_requests
from logging_reports.forwarding import queue as forwarding_queue
from logging_reports.notices import queue
from logging_reports.report_queue import ReportJob

TASKS = (rq_jobs.run_export, queue.run_deliveries, time_stamp_requests.run_time_stamp, forwarding_queue.run_forwarding)
CYCLE_SECONDS = 60


class ReportWorker(Worker):
    """Runs registered tasks only. No command by pub/sub, no suspension, no schedule, no callback."""

    job_class = ReportJob

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options |= {"job_class": ReportJob, "maintenance_interval": CYCLE_SECONDS}
        super().__init__(*arguments, **options)

    @property
    def dequeue_timeout(self) -> int:
        """Seconds to wait for a message before the keys are looked at again."""
        return CYCLE_SECONDS

    def bootstrap(self, *arguments: Any, **options: Any) -> None:
        """Start, whatever lies in Redis."""
        self._remove_foreign_keys()
        super().bootstrap(*arguments, **options)

    def subscribe(self) -> None:
        """Subscribe to nothing: a command could stop this worker or the task it runs."""

    def check_for_suspension(self, burst: bool) -> None:  # noqa: FBT001 - RQ's signature
        """Never pause: the key ``rq:suspended`` may have no expiry."""

    def dequeue_job_and_maintain_ttl(self, timeout: int | None, max_idle_time: int | None = None) -> Any:
        """Wait for the next task, and pass over entries that are no message's id."""
        while True:
            try:
                return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
            except UnicodeDecodeError:
                continue
            except ResponseError:
                if not self._remove_foreign_keys():
                    raise

    def run_maintenance_tasks(self) -> None:
        """Remove what dead workers left behind.

        RQ's own maintenance runs the callbacks that messages name. Here the rows say what has to be done again.
        """
        self._remove_foreign_keys()
        moment = current_timestamp()
        for each in self.queues:
            clean_worker_registry(each)
            self.connection.delete(each.intermediate_queue.key)
            for registry in (each.started_job_registry, each.failed_job_registry):
                self.connection.zremrangebyscore(registry.key, 0, moment)
        self.last_cleaned_at = now()  # type: ignore[assignment]

    def _remove_foreign_keys(self) -> int:
        """Delete keys of another type than a queue has, on which every command fails. Return how many there were."""
        kinds = {REDIS_WORKER_KEYS: "set", Queue.redis_queues_keys: "set", self.key: "hash"}
        for each in self.queues:
            kinds |= {each.key: "list", each.intermediate_queue.key: "list", WORKERS_BY_QUEUE_KEY % each.name: "set"}
            kinds |= {each.started_job_registry.key: "zset", each.failed_job_registry.key: "zset"}
        found = [key for key, kind in kinds.items() if as_text(self.connection.type(key)) not in {kind, "none"}]
        return self.connection.delete(*found) if found else 0
