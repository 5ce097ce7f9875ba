"""Synchronize: push the keys of the job. The steps are those of ``jobs.kinds.push.cycle``."""

from __future__ import annotations

from jobs.engine.runner import Runner, no_failure_event
from jobs.kinds.push.cycle import abandon_push, discard_job_keks, push

RUNNER = Runner(
    run=push,
    clean_up=discard_job_keks,
    abandon_key=abandon_push,
    log_failure=no_failure_event,
)
