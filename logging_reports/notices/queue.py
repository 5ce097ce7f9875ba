"""The hint that makes the report worker send due deliveries. Redis holds nothing else of notices.

A mark in Redis keeps hints from piling up. The worker removes it before it reads the rows, so a later row gets a
hint of its own. The scan repeats a lost hint.
"""

from __future__ import annotations

import logging

from redis import Redis
from redis.exceptions import RedisError

from kmes.core import language
from kmes.core.redis_connection import connect
from logging_reports import report_queue
from logging_reports.notices import deliveries

logger = logging.getLogger(__name__)
_MARK = "kmes:notices:hint"
# A mark without a hint (Redis came back without the queue) blocks hints only for this long.
_MARK_SECONDS = 60
_TIMEOUT_SECONDS = 900


def hint() -> None:
    """Have the report worker send due deliveries. Without Redis log a warning; the scan repeats the hint."""
    try:
        with connect(seconds=report_queue.REDIS_SECONDS) as connection:
            if _set_mark(connection):
                report_queue.enqueue(run_deliveries)
    except RedisError:
        logger.warning("the report queue can't be reached; the scan will repeat the hint")


def _set_mark(connection: Redis) -> bool:
    """Return whether a hint has to be sent. A mark that does not expire in time is none of ours."""
    if connection.set(_MARK, "1", nx=True, ex=_MARK_SECONDS):
        return True
    if 0 <= connection.ttl(_MARK) <= _MARK_SECONDS:
        return False
    connection.set(_MARK, "1", ex=_MARK_SECONDS)
    return True


@report_queue.report_task(timeout_seconds=_TIMEOUT_SECONDS)
def run_deliveries() -> None:
    """Send the due deliveries. Runs in the report worker."""
    with connect(seconds=report_queue.REDIS_SECONDS) as connection:
        connection.delete(_MARK)
    with language.of_records():
        deliveries.deliver_due()
