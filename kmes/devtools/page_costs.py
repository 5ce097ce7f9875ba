"""Measures what each page costs in this process: server time and number of queries.

Asks the product in this process, so that what is timed is the server and no network. Needs Django set up
before it is imported.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse

from cloudcreds.models import CloudCredential
from jobs.models import Job
from keygroups.models import Key, KeyGroup
from kmes.accounts.models import User
from logging_reports.choices import Service
from logging_reports.models import LogEntry, LogHead

# Of the slowest twentieth, one run has to be measured.
RUNS = 20
# From so many rows of the log on, making the indexes anew takes less time than keeping them.
MANY_LOGS = 200_000
WELL = frozenset({200})
# What a page may take at full size on PostgreSQL.
MOST_MS, MOST_QUERIES = 100.0, 12


def list_paths() -> Iterator[str]:
    """Yield the address of every kind of page, with the filters people use, on the data there is."""
    yield from (
        "/",
        "/outlook/",
        "/keys/custody/",
        "/keys/calendar/",
        "/keys/",
        "/keys/?q=0042",
        "/keys/?show=expiring",
        "/jobs/",
        "/keys/?q=seed",
        "/keys/?q=seed&sort=-expires&page=3",
        "/keys/?groups=90",
        "/keys/?view=vault",
        "/keys/?view=state",
        "/keys/custody/?by=owner",
        "/jobs/drawer/",
        "/jobs/?page=100",
        "/jobs/?q=seed",
        "/search/?q=seed",
        "/cloud-credentials/",
    )
    yield from ("/jobs/?show=failed", reverse("hsm:configuration"), reverse("hsm:device"))
    yield from (user.get_absolute_url() for user in User.objects.order_by("pk")[:1])
    yield from ("/users/", "/roles/", "/sessions/", "/approvals/?show=all", "/approvals/policies/", "/notices/")
    if key := Key.objects.order_by("pk").first():
        yield f"/keys/?group={key.group_id}"
        yield f"/keys/?view=vault&vault={key.group.vault_id}"
        yield reverse("keygroups:vault", args=[key.group.vault_id])
        yield reverse("keygroups:vault_permissions", args=[key.group.vault_id])
        yield reverse("keygroups:group_permissions", args=[key.group_id])
        yield key.get_absolute_url()
    if credential := CloudCredential.objects.order_by("pk").first():
        yield credential.get_absolute_url()
        yield reverse("cloudcreds:permissions", args=[credential.pk])
    if job := Job.objects.order_by("pk").first():
        yield job.get_absolute_url()
    yield from _log_paths()
    yield from (reverse("reports:report", args=[name]) for name in ("key-age", "rotation", "expiring", "activity"))
    for name in ("reports:home", "logs:exports", "logs:checkpoints"):
        try:
            yield reverse(name)
        except NoReverseMatch:
            continue


def _log_paths() -> Iterator[str]:
    """Yield the pages of System Logs: each log, each filter alone and some together, deep pages, details."""
    for service in Service.values:
        yield f"/logs/?service={service}"
    newest = LogEntry.objects.filter(service=Service.AZURE).exclude(key_id="").order_by("-sequence").first()
    if newest is None:
        return
    middle, list_url = max(1, newest.sequence // 2), "/logs/?service=azure"
    then = LogEntry.objects.get(service=Service.AZURE, sequence=middle).at
    day = f"{then:%Y-%m-%d}"
    filters = [
        *("severity=error", "severity=warning", "category=kek", "category=throttling&severity=warning"),
        *("range=1h", "range=7d", f"since={day}&until={day}", f"until={day}", f"severity=error&until={day}"),
        *(f"job={newest.job_code}", f"key={newest.key_id}", f"key={newest.key}", f"group={newest.group_id}"),
        *(f"group={newest.group}", "actor=carla", "actor=nobody", "key=nosuch"),
        *(
            "q=imported",
            "q=ServiceUnavailable",
            f"q={newest.provider_request_id[:13]}",
            "q=nosuchtext",
            "q=503&severity=error",
        ),
        *(f"before={middle}", "before=60", f"jump={day}"),
    ]
    yield from (f"{list_url}&{each}" for each in filters)
    yield f"/logs/azure/{middle}/"
    yield f"/logs/azure/{middle}/?severity=error"


@dataclass(frozen=True)
class Cost:
    """What a page took: wall and processor time of each run in ms, queries, the answer's status and size in bytes."""

    wall: list[float]
    cpu: list[float]
    queries: int
    status: int
    size: int


def measure(path: str, client: object) -> Cost:
    """Open a page several times."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)  # type: ignore[attr-defined]
    # Counted at once: the next request empties Django's list.
    cost = Cost([], [], len(queries), answer.status_code, len(answer.content))
    for _run in range(RUNS):
        started, worked = time.perf_counter(), time.process_time()
        client.get(path)  # type: ignore[attr-defined]
        cost.cpu.append((time.process_time() - worked) * 1000)
        cost.wall.append((time.perf_counter() - started) * 1000)
    return cost


def print_pages() -> bool:
    """Measure and print all pages; returns whether each kept to the limits."""
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    client, is_well = Client(), True
    client.force_login(User.objects.get_or_create(username="bench", defaults={"role": "admin"})[0], _backend())
    for path in list_paths():
        cost = measure(path, client)
        # The 19th of 20.
        p95 = sorted(cost.wall)[math.ceil(0.95 * len(cost.wall)) - 1]
        kept = cost.status in WELL and p95 <= MOST_MS and cost.queries <= MOST_QUERIES
        is_well &= kept
        line = {
            "name": "page",
            "path": path,
            "p95_ms": round(p95, 1),
            "median_ms": round(statistics.median(cost.wall), 1),
            # What of it this process worked: on a machine that others use it says more.
            "cpu_ms": round(min(cost.cpu), 1),
            "queries": cost.queries,
            "kb": round(cost.size / 1024),
        }
        print(json.dumps(line if kept else {**line, "status": cost.status, "over": True}), flush=True)
    return is_well


def _backend() -> str:

    return str(settings.AUTHENTICATION_BACKENDS[-1])


@contextmanager
def without_indexes(model: type[Model]) -> Iterator[None]:
    """Insert many rows without the table's indexes, which are made again after: a fifth of the time on PostgreSQL."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexdef LIKE %s",
            [model._meta.db_table, "CREATE INDEX %"],  # noqa: SLF001 - Django's documented name
        )
        indexes = cursor.fetchall()
        for name, _definition in indexes:
            cursor.execute(f"DROP INDEX {connection.ops.quote_name(name)}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET maintenance_work_mem = '512MB'")
            for _name, definition in indexes:
                cursor.execute(definition)


def fill_up(*, groups: int, keys: int, logs: int) -> None:
    """Write the trial data that is missing to reach the size."""
    missing_keys = max(0, keys - Key.objects.count())
    missing_logs = max(0, logs - sum(LogHead.objects.values_list("sequence", flat=True)))
    missing_groups = max(1, groups - KeyGroup.objects.count())
    if missing_keys or missing_logs:
        with without_indexes(LogEntry) if missing_logs >= MANY_LOGS else nullcontext():
            call_command("seed", groups=missing_groups, keys=max(1, missing_keys), logs=missing_logs, verbosity=0)
        with connection.cursor() as cursor:
            # What autovacuum does within a minute: without statistics a plan is a guess.
            cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
