"""Connections to Redis, always with time-outs: a frozen Redis must not hang a page or a job."""

from __future__ import annotations

from typing import Any

import redis
from django.conf import settings


def connect(*, seconds: float, **options: Any) -> redis.Redis:
    """Return a client that waits at most ``seconds`` for a connection and for each answer."""
    return redis.Redis.from_url(
        settings.KMES_REDIS_URL, socket_timeout=seconds, socket_connect_timeout=seconds, **options
    )
