"""Create: make keys in the HSM."""

from __future__ import annotations

from jobs.choices import TargetState
from jobs.engine.cancellation import stop_if_requested
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.kinds.key_creation import make_key
from jobs.kinds.subjects import group_of


def run_create(run: JobRun) -> None:
    """Make the keys whose names the job carries."""
    group = group_of(run)
    with step(run, "generate_key"):
        for name in run.job.params["names"]:
            stop_if_requested(run)
            if run.job.targets.filter(key__name=name, state=TargetState.DONE).exists():
                continue
            make_key(run, group, name, state=TargetState.DONE)
            with run.write() as tx:
                tx.add_message(run.spec.wording.one_done(name))


RUNNER = Runner(
    run=run_create,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
