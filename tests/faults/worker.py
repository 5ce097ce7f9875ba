"""A worker process that runs one job and obeys KMES_FAILPOINTS.

Run as ``DJANGO_SETTINGS_MODULE=tests.faults.settings python -m tests.faults.worker JOB_ID``.
Exit 0: the job ran to where it stops by itself, the failpoint was not met.
"""

from __future__ import annotations

import os
import sys
from uuid import UUID

import django


def main(job_id: str) -> None:
    """Run the job once, as a Celery worker does."""
    django.setup()
    from jobs.engine import execution

    execution.execute(UUID(job_id), owner=f"fault-worker-{os.getpid()}")


if __name__ == "__main__":
    main(sys.argv[1])
