"""Checks of a run whether a user asked to cancel its job."""

from __future__ import annotations

from django.utils.translation import gettext as _

from jobs.choices import JobState
from jobs.engine.interruptions import Cancelled
from jobs.engine.run import JobRun
from jobs.models import Job


def find_request(run: JobRun) -> Cancelled | None:
    """Return the cancel that a user requested, None when there is none or the run can't be cancelled any more."""
    if not run.may_cancel:
        return None
    at, by = Job.objects.filter(pk=run.job.pk).values_list("cancel_requested_at", "cancel_requested_by").get()
    return Cancelled(_("Canceled by %(name)s.") % {"name": by}) if at is not None else None


def stop_if_requested(run: JobRun) -> None:
    """End the run here if a user asked to cancel the job; nothing is under way at this point.

    Raises:
        Cancelled: a user did.

    """
    if (cancelled := find_request(run)) is not None:
        run.may_cancel, run.is_hurried = False, True
        raise cancelled


def should_stop_waiting(run: JobRun) -> bool:
    """Return whether a pause of the run should end now: a cancel was requested, or the claim is lost."""
    rows = Job.objects.filter(pk=run.job.pk, fence=run.claim.fence, state=JobState.RUNNING)
    requested_at = rows.values_list("cancel_requested_at", flat=True).first()
    return not rows.exists() or (run.may_cancel and requested_at is not None)
