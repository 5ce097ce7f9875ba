"""The runner of changes. It is never reached: ``jobs.engine.entitlement`` refuses a change that came into the queue."""

from __future__ import annotations

from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up

RUNNER = Runner(
    run=nothing_to_clean_up,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
