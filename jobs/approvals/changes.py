"""Applies changes of users, roles and settings that others approved, for their requester, exactly once.

All of it is one transaction of the web process: the checks that a worker makes of other jobs, the change, and the end of
its job. So a change is made with its approvals, or not at all.
"""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from jobs.approvals.models import ApprovalRequest
from jobs.approvals.services import alarm, record_of
from jobs.choices import JobState
from jobs.engine import lifecycle
from jobs.engine.approval_checks import check_approved, has_enough, read_decisions
from jobs.engine.approval_requests import requirements_in
from jobs.engine.authenticity import check_not_ended, check_request
from jobs.engine.break_glass import find_break_glass
from jobs.kinds.apply_change.spec import change_of
from jobs.models import Job
from jobs.spec import registry
from kmes.accounts.rights import check
from kmes.core import guarded_changes
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, KmesError, PermissionRefused
from kmes.core.guarded_changes import Applied, find_operation


def apply_change(*, request: ApprovalRequest, actor: Actor) -> Applied:
    """Make the change of a request that has its approvals. Return what its page shows.

    Raises:
        PermissionRefused: the actor did not request it, or lacks the right.
        ConflictError: it lacks approvals, has expired, ended, or is another plan by now.
        NotGenuine: the request, or a decision on it, is not as it was recorded; the log has it.

    """
    with alarm(request), transaction.atomic():
        # One after the other: the second finds that the job ended.
        job = Job.objects.select_for_update().get(pk=request.job_id)
        if not registry.is_applied_by_requester(job) or job.state != JobState.AWAITING:
            raise ConflictError(_("The change no longer waits to be applied."), _("Reload the page."))
        if actor.user_id is None or actor.user_id != job.requested_by_id:
            raise PermissionRefused(_("Only the requester applies a change."), _("Ask %s to.") % job.actor_name)
        request = ApprovalRequest.objects.select_related("job").get(pk=request.pk)
        check_request(job)
        check_not_ended(job)
        check(actor, registry.right_for(job))
        if not is_ready(request):
            raise ConflictError(_("The change lacks approvals."), _("Wait until others have approved it."))
        change = change_of(job)
        operation = find_operation(change.operation)
        # Until the end of the transaction nothing that the plan is made from changes.
        operation.lock(change.values, actor)
        check_approved(job)
        with guarded_changes.applying(change):
            applied = operation.apply(change.values, actor)
        lifecycle.end_applied(job)
        record_of("job.finished", request, f"Applied by {actor.name}", actor=actor)
    return applied


def is_ready(request: ApprovalRequest) -> bool:
    """Return whether a change waits for nothing but its requester.

    Raises:
        NotGenuine: somebody refused, or a decision is not as it was recorded.

    """
    if request.job.state != JobState.AWAITING or not registry.is_applied_by_requester(request.job):
        return False
    decisions = read_decisions(request)
    approvals = [each for each in decisions if each.user_id != request.job.requested_by_id]
    return find_break_glass(decisions) is not None or has_enough(requirements_in(request), approvals, request.job)


def waits_for_requester(request: ApprovalRequest) -> bool:
    """Return the same for a page, where a request that is not genuine waits for nobody."""
    try:
        return is_ready(request)
    except KmesError:
        return False
