"""Whether a job was requested, and those who requested it still may, checked each time a worker begins to work on it.

A right that was taken away counts at once, also for what was requested while it was held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from jobs.engine.authenticity import NotGenuine, check_not_ended, check_request
from jobs.engine.requester import requester_of
from jobs.models import Job
from jobs.spec import registry
from kmes.accounts.models import User
from kmes.accounts.rights import Right, check, check_somewhere
from kmes.core.actor import Actor
from kmes.core.errors import PermissionRefused

if TYPE_CHECKING:
    # It reaches the device, and web asks here who is entitled.
    from jobs.engine.run import JobRun


def check_authentic(run: JobRun) -> None:
    """Check that the job is as a process of this console requested it, and that it did not end before.

    Raises:
        NotGenuine: it is not, or did, or no worker does it.
        ConflictError: what it was to work on was deleted.
        RequestKeyError: the public halves can't be read.

    """
    requested = check_request(run.job)
    check_not_ended(run.job)
    if registry.is_applied_by_requester(run.job):
        raise NotGenuine(
            _("No worker makes this change: its requester does."),
            _("Find out who writes to the database. If the change was meant, request it again."),
        )
    run.requested_keys = requested


def check_requester(run: JobRun) -> None:
    """Check the requester's right on all that the job works on, and that of the requesters of the jobs it follows.

    What it works on is read anew: a key group that was moved to another vault, or has other tags, may have left the scope
    for which the requester has the right. The schedule passes.

    Raises:
        PermissionRefused: somebody was deactivated, or lacks the right of this kind of job by now.

    """
    job: Job | None = run.job
    right = registry.right_for(run.job)
    try:
        while job is not None:
            _check(requester_of(job), right, run.job)
            job = job.follows
    except PermissionRefused as error:
        raise PermissionRefused(
            _("The job was refused: %(why)s") % {"why": error.what},
            _("A user with the right can retry the job."),
        ) from error


def _check(actor: Actor, right: Right, job: Job) -> None:
    if job.work_kind != job.kind:
        # Each part of a job on many key groups is checked when it is opened and when it begins: one group that left the
        # scope must not hold the others up.
        check_somewhere(actor, right)
    else:
        check(actor, right, job)


def is_entitled(user: User, job: Job) -> bool:
    """Return whether a user has the right that a job needs, on all that it works on. A kind that is unknown needs more."""
    spec = registry.find(job.work_kind) or registry.find(job.kind)
    if spec is None:
        return False
    return user.may_somewhere(spec.right) if job.work_kind != job.kind else user.may(spec.right, job)
