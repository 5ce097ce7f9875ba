"""Health, readiness and metrics for supervisors and monitoring. No login; gives states, never secrets or texts.

A failing dependency is named with a short word. Details are in the process's own log and on the pages
behind the login.
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

from hsm.mfk_guard import state_of_mfk
from jobs.schedule.clock_guard import read_clock
from kmes.core.schema import check_fit
from kmes.dashboard.heartbeats import Heartbeats, read_heartbeats
from kmes.dashboard.metrics import ConsoleCollector
from kmes.dashboard.queue_health import queue_state

# Set by proxies: with one of these, a request from the loopback address may come from another host.
_FORWARDING_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_HOST")


@never_cache
@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer 200 as long as this process answers; checks nothing else."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 if database, schema, Redis, a worker and its device work, else 503; the JSON names what does not.

    ``beat`` is reported but decides nothing: without it pages and pushes work, only schedules wait. The same
    holds for ``notes``: a stuck queue, a held schedule, an MFK that is not the pinned one, workers of another release.
    """
    heartbeats = read_heartbeats()
    database = _database_state()
    checks = {
        "database": database,
        "schema": _schema_state() if database == "ok" else "unknown",
        "redis": "ok" if heartbeats.redis_up else "unreachable",
        "worker": _worker_state(heartbeats),
        "device": heartbeats.device if heartbeats.redis_up else "unknown",
    }
    ready = all(state == "ok" for state in checks.values())
    beat = ("ok" if heartbeats.beat_alive else "silent") if heartbeats.redis_up else "unknown"
    notes = _notes(heartbeats) if checks["schema"] == "ok" else {}
    return JsonResponse(
        {"ready": ready, "checks": {**checks, "beat": beat}, "workers": len(heartbeats.workers), "notes": notes},
        status=200 if ready else 503,
    )


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with Prometheus text to the loopback address, or to a request with the token."""
    if not (_is_loopback(request) or _has_token(request)):
        return HttpResponse("Metrics are for this host, or with the metrics token.\n", "text/plain", 403)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ConsoleCollector(read_heartbeats()))
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
    """Return how the database's schema differs from this process's code."""
    try:
        return check_fit()
    except DatabaseError:
        return "unknown"


def _worker_state(heartbeats: Heartbeats) -> str:
    """Return "ok" if a running worker may take jobs, else why none may."""
    if not heartbeats.redis_up:
        return "unknown"
    if heartbeats.fit_workers:
        return "ok"
    return f"schema {heartbeats.workers[0].schema}" if heartbeats.workers else "silent"


def _notes(heartbeats: Heartbeats) -> dict[str, str]:
    """Return what needs attention although the console works."""
    try:
        return {
            "queue": queue_state(heartbeats),
            "schedule": "held" if read_clock().held_since else "ok",
            "mfk": state_of_mfk(),
            "releases": "mixed" if len({worker.version for worker in heartbeats.workers}) > 1 else "ok",
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
    """Compare the bearer token with the file's; without a file, or with an empty one, no token is accepted."""
    path = os.environ.get("KMES_METRICS_TOKEN_FILE", "")
    if not path:
        return False
    try:
        expected = Path(path).read_bytes().strip()
    except OSError:
        return False
    scheme, _space, given = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return bool(expected) and scheme.lower() == "bearer" and secrets.compare_digest(given.strip().encode(), expected)
