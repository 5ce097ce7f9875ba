"""Lets the parts of a test run as the processes of the product: pages as web, jobs and scans as worker, reports as reports.

Each then signs, withholds columns and, on PostgreSQL, has the role of its process: a right that is missing there fails
the test (``kmes.operations.database_rights``). What a test does itself is done as the owner of the tables.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

PROCESSES = ("web", "worker", "reports")
# Who acts now, in the order in which they began; the first is the test itself.
_turns: dict[object, str] = {}
# Each thread has a connection of its own, and so a role: that of its own innermost turn.
_here = threading.local()


def make_roles(server: str) -> None:
    """Make the roles at a PostgreSQL server; each database grants them their rights when it is migrated."""
    with psycopg.connect(server, autocommit=True) as connection:
        for process in PROCESSES:
            connection.execute(f"CREATE ROLE kmes_{process} LOGIN")


@contextlib.contextmanager
def acting_as(process: str) -> Iterator[None]:
    """Be this process, with its role at PostgreSQL, until the end of the block."""
    from django.conf import settings

    turn = object()
    if not _turns:
        _turns[None] = settings.KMES_PROCESS
    # Workers of a test run in threads, whose turns may end in another order than they began.
    _turns[turn] = settings.KMES_PROCESS = process
    roles = vars(_here).setdefault("roles", [])
    roles.append(process)
    _take_role()
    try:
        yield
    finally:
        roles.pop()
        del _turns[turn]
        settings.KMES_PROCESS = list(_turns.values())[-1]
        if len(_turns) == 1:
            _turns.clear()
        _take_role()


def _take_role(**_signal: object) -> None:
    """Give this thread's connection the role of the process that acts in it."""
    from django.db import connection

    if connection.vendor != "postgresql" or connection.connection is None:
        return
    process = (vars(_here).get("roles") or [""])[-1]
    role = f"kmes_{process}" if process in PROCESSES else "NONE"
    # Past Django, which would count it among the queries of a page. After an error the transaction's end undoes it.
    with contextlib.suppress(psycopg.Error):
        connection.connection.execute(f"SET ROLE {role}")


def _as(process: str, owner: Any, *names: str) -> None:
    for name in names:
        function: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(function)
        def wrapped(*given: Any, _function: Callable[..., Any] = function, **named: Any) -> Any:
            with acting_as(process):
                return _function(*given, **named)

        setattr(owner, name, wrapped)


def install() -> None:
    """Let requests, tasks and what tests call in their place run as their processes."""
    # Only readable once Django is set up.
    from django.db.backends.signals import connection_created
    from django.test import Client

    from jobs import tasks
    from jobs.engine import execution
    from jobs.journal import kek_sweep
    from jobs.schedule import log_checkpoints, reminders, scans
    from logging_reports import rq_jobs, time_stamp_requests
    from logging_reports.forwarding import alarms, delivery
    from logging_reports.notices import deliveries

    connection_created.connect(_take_role, dispatch_uid="tests.database_processes")
    _as("web", Client, "request")
    _as("worker", tasks.RecordTask, "__call__")
    _as("worker", execution, "execute")
    _as("worker", kek_sweep, "sweep")
    _as("worker", reminders, "remind")
    _as("worker", log_checkpoints, "make_if_due")
    _as("worker", scans, "scan_rotations", "scan_drift", "scan_vaults", "scan_leftovers", "hint_due_deliveries")
    _as("reports", rq_jobs, "_run")
    _as("reports", deliveries, "deliver_due")
    _as("reports", time_stamp_requests, "stamp_due")
    _as("reports", delivery, "deliver_due")
    _as("worker", alarms, "check")
