"""Synchronize: push the keys asked for. The steps are those of ``jobs.kinds.push.cycle``."""

from __future__ import annotations

from jobs.engine.run import JobRun
from jobs.kinds.push.cycle import push


def run_synchronize(run: JobRun) -> None:
    """Push the job's keys to their group's vault."""
    push(run)
