"""Forwards a long log to a real log server that is killed again and again, and counts what arrived.

``python -m tests.forwarding_trial --postgres`` prints one JSON line for each server; the exit status is 1 if a row is
missing, came in another order, or came twice without a mark. docs/forwarding.md shows results.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

from tests import services
from tests.log_servers import LogServer, make_authority

# Name, kind, and rsyslog's queue: none, or one in memory, which a kill loses.
SERVERS = {
    "rsyslog": ("rsyslog", 'queue.type="Direct"'),
    "rsyslog-memory": ("rsyslog", 'queue.type="LinkedList" queue.size="50000"'),
    "syslog-ng": ("syslog-ng", ""),
}
DOWN_SECONDS = 1


def main() -> int:
    """Read the command line, run the trial, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.forwarding_trial", description=__doc__)
    parser.add_argument("--server", choices=[*SERVERS], nargs="+", default=[*SERVERS])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL instead of SQLite")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="kmes-forwarding-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if options.postgres:
            os.environ["DATABASE_URL"] = stack.enter_context(services.running_postgres(folder / "postgres"))
        else:
            os.environ.pop("DATABASE_URL", None)
        os.environ.update(
            DJANGO_SETTINGS_MODULE="kmes.settings",
            KMES_STATE_DIR=str(folder / "state"),
            KMES_INSECURE_HTTP="1",
            KMES_PROCESS="manage",
            KMES_REDIS_URL="redis://127.0.0.1:1/0",
            KMES_FORWARDING_PRIVATE_HOSTS="localhost",
            KMES_LOG_LEVEL="ERROR",
        )
        django.setup()
        # Models exist once Django is set up.
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        _write_rows(options.rows)
        return max([_run(name, options.kills, folder / name) for name in options.server])


def _run(name: str, kills: int, folder: Path) -> int:
    from django.db import connection

    from tests.logging_reports.forwarding import add, last_row

    folder.mkdir()
    kind, queue = SERVERS[name]
    server = LogServer(kind, folder, make_authority(), queue=queue)
    server.start()
    try:
        destination = add(server, name=name)
        last = last_row()
        begun = time.monotonic()
        killer = threading.Thread(target=_kill_at, args=(server, destination.pk, last, kills))
        killer.start()
        _forward(destination, last)
        killer.join()
        # A kill after the last confirmation is noticed by the next rows.
        _forward_one_more(destination)
        seconds = time.monotonic() - begun
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        _wait_for(server)
    finally:
        server.stop()
    destination.delete()
    found, last = server.received(), last_row()
    first = [number for number, is_repeat in zip(found.sequences, found.repeats, strict=True) if not is_repeat]
    result: dict[str, Any] = {
        "server": name,
        "database": connection.vendor,
        "rows": last,
        "kills": kills,
        "seconds": round(seconds, 1),
        "rows_per_second": round(last / seconds),
        "missing": last - len(set(found.sequences) & set(range(1, last + 1))),
        "unmarked_twice": len(first) - len(set(first)),
        "in_order": first == sorted(first),
        "repeats": sum(found.repeats),
        "peak_memory_mib": peak,
    }
    print(json.dumps(result), flush=True)
    return int(bool(result["missing"] or result["unmarked_twice"] or not result["in_order"]))


def _write_rows(count: int) -> None:
    from kmes.core.clock import now
    from kmes.devtools.trial_data import SPAN
    from logging_reports.choices import Service
    from logging_reports.trial_history import append_history

    for _done in append_history(Service.AUDIT, _rows(count), count=count, since=now() - SPAN):
        pass


def _rows(count: int) -> Iterator[Any]:
    from logging_reports.models import LogEntry

    for number in range(count):
        yield LogEntry(
            service="audit",
            category="jobs",
            severity="info",
            event="job.finished",
            actor_name="a.custodian",
            actor_trigger="user",
            actor_user_id=7,
            group="payments",
            key=f"payments-{number % 1000}",
            vault="kv-premium",
            job_code="7F3KQ2",
            message=f"Synchronize HSM protected key payments-{number % 1000} to kv-premium: done",
            data={"seeded": True, "attempt": 1},
        )


def _forward(destination: Any, last: int) -> None:
    from logging_reports.forwarding import delivery

    while destination.positions.get().confirmed < last:
        if not delivery.deliver_due():
            # The product's scan looks every 15 seconds.
            time.sleep(0.2)


def _forward_one_more(destination: Any) -> None:
    from tests.logging_reports.forwarding import last_row, write_rows

    write_rows(1)
    _forward(destination, last_row())


def _kill_at(server: LogServer, destination_id: Any, last: int, kills: int) -> None:
    from django.db import connection

    from logging_reports.forwarding.models import ForwardingPosition

    for number in range(kills):
        threshold = last * (number + 1) // (kills + 1)
        while ForwardingPosition.objects.get(destination_id=destination_id).announced < threshold:
            time.sleep(0.05)
        server.kill()
        time.sleep(DOWN_SECONDS)
        server.start()
    connection.close()


def _wait_for(server: LogServer, seconds: float = 60) -> None:
    """Wait until the server writes nothing more."""
    deadline, size = time.monotonic() + seconds, -1
    while time.monotonic() < deadline and size != server.output.stat().st_size:
        size = server.output.stat().st_size
        time.sleep(2)


if __name__ == "__main__":
    sys.exit(main())
