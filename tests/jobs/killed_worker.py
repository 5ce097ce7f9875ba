"""A worker process that runs one job and dies by SIGKILL at a chosen database statement.

Run as ``python -m tests.jobs.killed_worker JOB_ID STATEMENT_NUMBER``. The product knows nothing of
it: a wrapper around the database connection counts statements, and each number is another moment
between two effects. Exit 0: the job ran to its end before the number was reached.
"""

from __future__ import annotations

import os
import signal
import sys
from uuid import UUID

import django


def main(job_id: str, number: int) -> None:
    """Run the job; die at its ``number``-th changing statement."""
    django.setup()
    from django.db import connection

    from jobs import execution

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
