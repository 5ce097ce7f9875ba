"""Rotate: make a new key, push it, and only then call the group rotated."""

from __future__ import annotations

from django.utils.translation import gettext as _

from jobs.choices import TargetState
from jobs.engine.run import JobRun
from jobs.kinds.create.runner import make_key
from jobs.kinds.push.cycle import push
from jobs.models import JobTarget
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import ENDED_VERSION_STATES, KeyState
from keygroups.models import CloudVersion, Key
from kmes.core.actor import Trigger
from kmes.core.clock import now
from kmes.core.errors import ConflictError


def run_rotate(run: JobRun) -> None:
    """Rotate the job's group.

    A crash after the key was made leaves a key that is not in the vault; the next run, or a retry
    of the job, pushes that one. ``last_rotated_at`` is set in the last step only.
    """
    group = run.job.group
    if group is None:
        raise ConflictError(_("The key group no longer exists."))
    with run.step("generate_key"):
        key = _key_to_push(run)
    push(run)
    if not run.job.targets.filter(key=key, state=TargetState.DONE).exists():
        return
    moment = now()
    with run.write():
        key_lifecycle.record_rotated(group=group, at=moment)
        if run.actor.trigger != Trigger.SCHEDULE:
            # The period starts anew with the key that was forced.
            key_lifecycle.schedule_rotation(group=group, anchor_at=moment)
        run.log("azure.rotation_done", f"Group {group} rotated to {key}", key=key)


def _key_to_push(run: JobRun) -> Key:
    """Return the new key: made now, by an earlier run, or by the job that this one retries."""
    group = run.job.group
    if group is None:
        raise ConflictError(_("The key group no longer exists."))
    resume = run.job.params.get("resume_key")
    former = group.keys.filter(pk=resume, state=KeyState.PRESENT).first() if resume else None
    key = former or make_key(run, group, run.job.params["name"], state=TargetState.PENDING)
    with run.write():
        JobTarget.objects.get_or_create(job=run.job, key=key, defaults={"ordinal": 1})
        living = CloudVersion.objects.filter(key=key).exclude(state__in=ENDED_VERSION_STATES)
        if not living.exists():
            key_lifecycle.begin_push(key=key)
    return key
