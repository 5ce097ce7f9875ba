"""Rotate: make a new key, push it, and only then call the group rotated."""

from __future__ import annotations

from jobs.choices import TargetState
from jobs.engine.creation import add_target
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner
from jobs.engine.steps import step
from jobs.engine.transaction import RunTransaction
from jobs.kinds.key_creation import make_key
from jobs.kinds.push.cycle import abandon_push, discard_job_keks, push
from jobs.kinds.subjects import group_of
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import ENDED_VERSION_STATES, KeyState
from keygroups.models import CloudVersion, Key
from kmes.core.actor import Trigger
from kmes.core.clock import now
from kmes.core.errors import KmesError


def run_rotate(run: JobRun) -> None:
    """Rotate the job's group.

    A crash after the key was made leaves a key that is not in the vault. The next run, or a retry of the job,
    pushes that one. ``last_rotated_at`` is set in the last step only.
    """
    group = group_of(run)
    with step(run, "generate_key"):
        key = _key_to_push(run)
    push(run)
    if not run.job.targets.filter(key=key, state=TargetState.DONE).exists():
        return
    moment = now()
    with run.write() as tx:
        key_lifecycle.record_rotated(group=group, at=moment)
        if run.actor.trigger != Trigger.SCHEDULE:
            # A rotation that was forced starts a new period.
            key_lifecycle.schedule_rotation(group=group, anchor_at=moment)
        tx.log("azure.rotation_done", f"Group {group} rotated to {key}", key=key)


def _key_to_push(run: JobRun) -> Key:
    """Return the new key: made now, by an earlier run, or by the job that this one retries."""
    group = group_of(run)
    resume = run.job.params.get("resume_key")
    former = group.keys.filter(pk=resume, state=KeyState.PRESENT).first() if resume else None
    key = former or make_key(run, group, run.job.params["name"], state=TargetState.PENDING)
    with run.write() as tx:
        if not run.job.targets.filter(key=key).exists():
            add_target(tx.job, key, state=TargetState.PENDING)
        living = CloudVersion.objects.filter(key=key).exclude(state__in=ENDED_VERSION_STATES)
        if not living.exists():
            key_lifecycle.begin_push(key=key)
    return key


def _log_failure(tx: RunTransaction, error: KmesError) -> None:
    tx.log("azure.rotation_failed", str(error))


RUNNER = Runner(
    run=run_rotate,
    clean_up=discard_job_keks,
    abandon_key=abandon_push,
    log_failure=_log_failure,
)
