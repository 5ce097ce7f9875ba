"""Health, readiness and metrics for supervisors and monitoring. No login; tells states, never secrets or texts.

A failing dependency is named with a short word. What went wrong in detail stands in the process's
own log and on the pages behind the login.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from pathlib import Path

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from jobs.schedule.clock_guard import read_clock
from kmes.core.schema import check_fit
from kmes.dashboard.heartbeats import Pulse, read_pulse
from kmes.dashboard.metrics import ConsoleCollector
from kmes.dashboard.queue import queue_state

# Set by proxies: with one of them a request from the loopback address may come from anywhere.
_FORWARDING_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_HOST")


@never_cache
@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer 200 as long as this process answers at all; asks nothing of anybody."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 when database, its schema, Redis, a worker and its device serve, else 503; JSON says which does not.

    ``beat`` is told too but decides nothing: without it pages and pushes work, only schedules wait. So are
    the ``notes``: a queue that does not move, a schedule that is held, workers of another release.
    """
    pulse = read_pulse()
    database = _database_state()
    checks = {
        "database": database,
        "schema": _schema_state() if database == "ok" else "unknown",
        "redis": "ok" if pulse.redis_up else "unreachable",
        "worker": _worker_state(pulse),
        "device": pulse.device if pulse.redis_up else "unknown",
    }
    ready = all(state == "ok" for state in checks.values())
    beat = ("ok" if pulse.beat_alive else "silent") if pulse.redis_up else "unknown"
    notes = _notes(pulse) if checks["schema"] == "ok" else {}
    return JsonResponse(
        {"ready": ready, "checks": {**checks, "beat": beat}, "workers": len(pulse.workers), "notes": notes},
        status=200 if ready else 503,
    )


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer the Prometheus text to the loopback address, or to who has the token."""
    if not (_is_loopback(request) or _has_token(request)):
        return HttpResponse("Metrics are for this host, or with the metrics token.\n", "text/plain", 403)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ConsoleCollector(read_pulse()))
    try:
        text = generate_latest(registry)
    except DatabaseError:
        return HttpResponse("# the database can't be read\n", "text/plain", 503)
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def _database_state() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError:
        return "unreachable"
    return "ok"


def _schema_state() -> str:
    """Return how the database stands to this process's code."""
    try:
        return check_fit()
    except DatabaseError:
        return "unknown"


def _worker_state(pulse: Pulse) -> str:
    """Return "ok" when a living worker may take jobs, else why none may."""
    if not pulse.redis_up:
        return "unknown"
    if pulse.fit_workers:
        return "ok"
    return f"schema {pulse.workers[0].schema}" if pulse.workers else "silent"


def _notes(pulse: Pulse) -> dict[str, str]:
    """Return what deserves a look although the console serves."""
    try:
        return {
            "queue": queue_state(pulse),
            "schedule": "held" if read_clock().held_since else "ok",
            "releases": "mixed" if len({worker.version for worker in pulse.workers}) > 1 else "ok",
        }
    except DatabaseError:
        return {}


def _is_loopback(request: HttpRequest) -> bool:
    if any(header in request.META for header in _FORWARDING_HEADERS):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _has_token(request: HttpRequest) -> bool:
    """Compare the bearer token with the file's; without a file or with an empty one nobody has it."""
    path = os.environ.get("KMES_METRICS_TOKEN_FILE", "")
    if not path:
        return False
    try:
        expected = Path(path).read_bytes().strip()
    except OSError:
        return False
    scheme, _space, given = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return bool(expected) and scheme.lower() == "bearer" and secrets.compare_digest(given.strip().encode(), expected)
