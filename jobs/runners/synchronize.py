"""Synchronize: push the keys asked for. The steps are those of ``jobs.runners.push``."""

from __future__ import annotations

from jobs.context import JobRun
from jobs.runners.push import push


def run_synchronize(run: JobRun) -> None:
    """Push the job's keys to their group's vault."""
    push(run)
