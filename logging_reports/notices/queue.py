"""The hint to the report worker that something waits, and what it runs. Redis holds nothing else of a notice.

At most one hint lies in the queue: the worker takes its mark away before it looks, so that whatever is
written after that look brings a hint of its own. A hint that gets lost is sent again by the scan.
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
# After so long a mark without its hint (Redis came back without the queue) bars nobody.
_MARK_SECONDS = 60
_TIMEOUT_SECONDS = 900
_REDIS_SECONDS = 3


def hint() -> None:
    """Tell the report worker to look; a Redis that is out of reach is logged, the scan comes back to it."""
    try:
        with _connect() as connection:
            if connection.set(_MARK, "1", nx=True, ex=_MARK_SECONDS):
                queue = Queue(QUEUE, connection=connection)
                queue.enqueue(run_deliveries, job_timeout=_TIMEOUT_SECONDS, result_ttl=0, failure_ttl=3600)
    except RedisError:
        logger.warning("the report queue is out of reach; the scan will send the waiting notices")


def run_deliveries() -> None:
    """Send what is due. Runs in the report worker."""
    with _connect() as connection:
        connection.delete(_MARK)
    with language.of_records():
        deliveries.deliver_due()


def _connect() -> redis.Redis:
    # A connection of its own: django-rq takes no time-outs beside a URL, and a frozen Redis must not hang
    # the page or the job whose log row brought the notice.
    return redis.Redis.from_url(
        settings.KMES_REDIS_URL, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS
    )
