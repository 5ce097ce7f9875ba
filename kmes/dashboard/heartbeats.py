"""Reads the heartbeats of workers and beat from Redis, with short time-outs. Writes nothing.

Workers write ``kmes:heartbeat:worker:<host>`` (JSON: ``at``, ``device`` = "ok" or an error code, ``schema``,
``version``, ``kinds``), beat writes ``kmes:heartbeat:beat``. Each key expires, so a key that exists means that the
process runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, takewhile

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from kmes.core.heartbeats import BEAT_KEY, WORKER_PREFIX
from kmes.core.redis_connection import connect

TIMEOUT_SECONDS = 1.0
# Whoever writes to Redis could leave more, and longer ones. A worker's has about 600 bytes.
MAX_WORKERS, MAX_BYTES = 200, 4096
# The lists in which Celery and RQ keep waiting messages: their lengths are read, their contents never.
QUEUES = {"cloud": "cloud", "reports": "rq:queue:reports"}
FAILED_REPORTS = "rq:failed:reports"


@dataclass(frozen=True)
class WorkerState:
    """One worker's last heartbeat. ``device`` is "ok" or the device's error code.

    ``schema`` is "ok", or how the database's schema differs from the worker's code (``kmes.core.schema``).
    """

    host: str
    at: datetime | None
    device: str
    schema: str = "ok"
    version: str = ""
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Heartbeats:
    """All heartbeats at one moment; without Redis nothing is known."""

    redis_up: bool
    beat_alive: bool = False
    workers: tuple[WorkerState, ...] = ()
    queues: Mapping[str, int] = field(default_factory=dict)
    failed_reports: int = 0

    @property
    def fit_workers(self) -> tuple[WorkerState, ...]:
        """Return the workers whose code fits the database: the others take no job."""
        return tuple(worker for worker in self.workers if worker.schema == "ok")

    @property
    def device(self) -> str:
        """Return "ok" if a running worker has the device, else an error code; "unknown" without a worker."""
        states = [worker.device for worker in self.fit_workers or self.workers]
        if "ok" in states:
            return "ok"
        return states[0] if states else "unknown"


def read_heartbeats() -> Heartbeats:
    """Ask Redis for all heartbeats; takes about a second at most when Redis hangs."""
    # No retry: it would delay the probe's answer, and the monitoring asks again anyway.
    client = connect(seconds=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0), decode_responses=True)
    try:
        client.ping()
        keys = _find_workers(client)
        asked = client.pipeline(transaction=False)
        for key in (BEAT_KEY, *keys):
            asked.getrange(key, 0, MAX_BYTES - 1)
        for key in QUEUES.values():
            asked.llen(key)
        asked.zcard(FAILED_REPORTS)
        # A key of another type is no heartbeat and no queue; it must not make Redis look away.
        answers = asked.execute(raise_on_error=False)
    except (redis.RedisError, OSError, UnicodeDecodeError):
        return Heartbeats(redis_up=False)
    finally:
        client.close()
    beat, *values = (each if isinstance(each, str) else "" for each in answers[: len(keys) + 1])
    *lengths, failed = (each if isinstance(each, int) else 0 for each in answers[len(keys) + 1 :])
    workers = tuple(
        _worker(key.removeprefix(WORKER_PREFIX), value) for key, value in zip(keys, values, strict=True) if value
    )
    queues = dict(zip(QUEUES, lengths, strict=True))
    return Heartbeats(redis_up=True, beat_alive=bool(beat), workers=workers, queues=queues, failed_reports=failed)


def _find_workers(client: redis.Redis) -> list[str]:
    """Return the keys of workers' heartbeats, as many and for as long as an installation may need."""
    ends_at = time.monotonic() + TIMEOUT_SECONDS
    found = takewhile(lambda _key: time.monotonic() < ends_at, client.scan_iter(match=f"{WORKER_PREFIX}*", count=1000))
    return sorted(islice(found, MAX_WORKERS))


def _worker(host: str, value: str) -> WorkerState:
    """Read one heartbeat; an unreadable one is a running worker whose device is unknown."""
    try:
        content = json.loads(value)
        at = datetime.fromisoformat(str(content["at"]))
        device = str(content["device"])
        kinds = frozenset(map(str, content.get("kinds", ())))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return WorkerState(host=host, at=None, device="unknown")
    schema, version = str(content.get("schema", "ok")), str(content.get("version", ""))
    return WorkerState(host=host, at=at, device=device, schema=schema, version=version, kinds=kinds)
