"""The hint that makes the report worker send due deliveries. Redis holds nothing else of notices.

At most one hint is queued. The worker removes its mark before it reads the rows, so a later row gets a
hint of its own. The scan repeats a lost hint.
"""

from __future__ import annotations

import logging

import redis
from django.conf import settings
from redis.exceptions import RedisError
from rq import Queue

from kmes.core import language
from logging_reports.notices import deliveries

logger = logging.getLogger(__name__)
QUEUE = "reports"
_MARK = "kmes:notices:hint"
# A mark without a hint (Redis came back without the queue) blocks hints only for this long.
_MARK_SECONDS = 60
_TIMEOUT_SECONDS = 900
_REDIS_SECONDS = 3


def hint() -> None:
    """Have the report worker send due deliveries. Without Redis log a warning; the scan repeats the hint."""
    try:
        with _connect() as connection:
            if connection.set(_MARK, "1", nx=True, ex=_MARK_SECONDS):
                queue = Queue(QUEUE, connection=connection)
                queue.enqueue(run_deliveries, job_timeout=_TIMEOUT_SECONDS, result_ttl=0, failure_ttl=3600)
    except RedisError:
        logger.warning("the report queue can't be reached; the scan will repeat the hint")


def run_deliveries() -> None:
    """Send the due deliveries. Runs in the report worker."""
    with _connect() as connection:
        connection.delete(_MARK)
    with language.of_records():
        deliveries.deliver_due()


def _connect() -> redis.Redis:
    # Not django-rq's connection: it takes no time-outs with a URL, and a frozen Redis must not block the
    # page or job that wrote the log row.
    return redis.Redis.from_url(
        settings.KMES_REDIS_URL, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS
    )
