"""Whether those who requested a job may still do so, checked each time a worker begins to work on it.

A right that was taken away counts at once, also for what was requested while it was held.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from jobs.engine.run import JobRun
from jobs.models import Job
from kmes.accounts.rights import check
from kmes.core.actor import Actor, Trigger
from kmes.core.errors import PermissionRefused


def check_requester(run: JobRun) -> None:
    """Check the requester's right, and those of the jobs that this one follows. The schedule passes.

    Raises:
        PermissionRefused: somebody was deactivated, or lacks the right of this kind of job by now.

    """
    job: Job | None = run.job
    try:
        while job is not None:
            check(Actor(job.actor_name, Trigger(job.trigger), job.requested_by_id), run.spec.right)
            job = job.follows
    except PermissionRefused as error:
        raise PermissionRefused(
            _("The job was refused: %(why)s") % {"why": error.what},
            _("A user with the right can retry the job."),
        ) from error
