"""The first line of a job's page: one sentence about how it stands or came out, and the one thing to do next."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from jobs.choices import FAILED_STATES, JobState
from jobs.kinds.check_drift import spec as check_drift
from jobs.kinds.set_approval_policy import spec as set_approval_policy
from jobs.models import Job
from jobs.outcome import describe_outcome
from jobs.pages.failure_help import Failure
from jobs.pages.progress import describe_duration, label_of
from jobs.pages.selectors import JobView
from jobs.spec import registry
from keygroups.models import KeyGroup
from kmes.ui.actions import MenuItem

# A job that others did not approve, or not in time.
APPROVAL_CODES = frozenset({"approval_refused", "approval_expired"})


@dataclass(frozen=True)
class NextStep:
    """The primary button: ``item`` is the name of the menu's entry that it stands for, if any."""

    label: str
    url: str
    item: str = ""

    @property
    def is_dialog(self) -> bool:
        """Return whether it opens a dialog: what the menu offers asks first."""
        return bool(self.item)


def tell_state(view: JobView, *, progress: str) -> str:
    """Return one sentence, or for a running job its step and how much is done."""
    job = view.job
    waits = _("Others have to approve this job before a worker may run it.")
    if registry.is_applied_by_requester(job):
        waits = _("Others have to approve this change. Then its requester applies it on the page of the request.")
    told = {
        JobState.AWAITING: waits,
        JobState.CANCELLED: job.error_what or _("The job was canceled and does nothing more."),
        **dict.fromkeys(FAILED_STATES, job.error_what),
    }
    if job.state in told:
        return told[JobState(job.state)]
    return _tell_success(view, progress) if job.finished_at is not None else _tell_work(view, progress)


def _tell_work(view: JobView, progress: str) -> str:
    job = view.job
    if job.state == JobState.RUNNING and view.running_step is not None and view.matrix is None:
        return ", ".join(text for text in (label_of(view.running_step), progress) if text)
    is_waiting = job.state == JobState.QUEUED and job.started_at is None and not job.waiting_for
    return _("A worker takes it as soon as one is free.") if is_waiting else progress


def _tell_success(view: JobView, progress: str) -> str:
    """Return what was done in how much time; what a warning is about stands below it."""
    job = view.job
    counted = (
        progress
        if view.matrix
        else describe_outcome((target.state for target in view.targets), registry.find(job.kind))
    )
    duration = describe_duration(job.started_at, job.finished_at)
    values = {"counted": counted, "duration": duration}
    if counted:
        return _("%(counted)s, in %(duration)s.") % values if duration else f"{counted}."
    return _("Done in %(duration)s.") % values if duration else _("Done.")


def choose_next(
    view: JobView, failure: Failure | None, items: list[tuple[str, MenuItem]], taken_groups: list[KeyGroup]
) -> NextStep | None:
    """Return what a person would do next; None while the job works, and where nothing is left to do."""
    job = view.job
    if job.state == JobState.AWAITING or job.error_code in APPROVAL_CODES:
        return NextStep(_("Show the request"), reverse("approvals:detail", args=[job.code]))
    if failure is not None:
        return _after_failure(view, failure, items, taken_groups)
    if job.finished_at is None or job.state == JobState.CANCELLED:
        return None
    if job.group is None:
        return _after_job_without_group(job)
    if job.kind == check_drift.KIND:
        return NextStep(_("See the differences"), reverse("keygroups:drift", args=[job.group.pk]))
    return NextStep(_("Open key group"), job.group.get_absolute_url())


def _after_job_without_group(job: Job) -> NextStep | None:
    if job.kind == set_approval_policy.KIND:
        return NextStep(_("Show approval policies"), reverse("approvals:policies"))
    return NextStep(_("Open credential"), job.credential.get_absolute_url()) if job.credential else None


def _after_failure(
    view: JobView, failure: Failure, items: list[tuple[str, MenuItem]], taken_groups: list[KeyGroup]
) -> NextStep | None:
    if taken_groups:
        group = taken_groups[0]
        label = _("Adopt the Azure key “%(key)s”") % {"key": group.azure_name}
        return NextStep(label, reverse("jobs:adopt_name", args=[view.job.code, group.pk]))
    # A page that helps goes before a retry, which would fail again; the key group's page cures nothing.
    helps = NextStep(failure.help_label, failure.help_url) if failure.help_url else None
    if helps is not None and not failure.is_about_group:
        return helps
    retry = next((item for _submenu, item in items if item.url and item.name.startswith("retry-")), None)
    if retry is None:
        return helps
    return NextStep(_("Retry these") if view.matrix else retry.label, retry.url, retry.name)
