"""Whether a job was requested, and those who requested it still may, checked each time a worker begins to work on it.

A right that was taken away counts at once, also for what was requested while it was held.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from jobs.engine.authenticity import NotGenuine, check_not_ended, check_request
from jobs.engine.requester import requester_of
from jobs.engine.run import JobRun
from jobs.models import Job
from jobs.spec import registry
from kmes.accounts.rights import check
from kmes.core.errors import PermissionRefused


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
    """Check the requester's right, and those of the jobs that this one follows. The schedule passes.

    Raises:
        PermissionRefused: somebody was deactivated, or lacks the right of this kind of job by now.

    """
    job: Job | None = run.job
    right = registry.right_for(run.job)
    try:
        while job is not None:
            check(requester_of(job), right)
            job = job.follows
    except PermissionRefused as error:
        raise PermissionRefused(
            _("The job was refused: %(why)s") % {"why": error.what},
            _("A user with the right can retry the job."),
        ) from error
