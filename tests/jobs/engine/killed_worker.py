"""A worker process that runs one job and dies by SIGKILL at a chosen database statement.

Run as ``python -m tests.jobs.engine.killed_worker JOB_ID STATEMENT_NUMBER``. The product knows nothing of
it: a wrapper around the database connection counts statements, and each number is another moment
between two effects. Exit 0: the job ran to its end before the number was reached.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import django

ROOT = Path(__file__).resolve().parents[3]


def run_and_die(job, number):
    """Run a job in a process of its own that dies at the given statement. Return its exit code."""
    from django.conf import settings
    from django.db import connection

    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        url = f"sqlite:///{name}"
    else:
        database = connection.settings_dict
        url = f"postgres://{database['USER']}@{database['HOST']}:{database['PORT']}/{name}"
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "KMES_UNKNOWN_QUARANTINE_SECONDS": str(settings.KMES_UNKNOWN_QUARANTINE_SECONDS),
    }
    command = [sys.executable, "-m", "tests.jobs.engine.killed_worker", str(job.pk), str(number)]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, timeout=60).returncode


def main(job_id: str, number: int) -> None:
    """Run the job; die at its ``number``-th changing statement."""
    django.setup()
    from django.db import connection

    from jobs.engine import execution

    left = [number]

    def die_in_time(execute, sql, params, many, context):
        if sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(die_in_time):
        execution.execute(UUID(job_id), owner=f"killed-{os.getpid()}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
