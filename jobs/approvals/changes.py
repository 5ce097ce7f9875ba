"""Applies changes of users, roles and settings that others approved, for their requester, exactly once.

All of it is one transaction of the web process: the checks that a worker makes of other jobs, the change, and the end of
its job. So a change is made with its approvals, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

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
from kmes.core.guarded_changes import Applied, Change, find_operation


def apply_change(*, request: ApprovalRequest, actor: Actor) -> Applied:
    """Make the change of a request that has its approvals. Return what its page shows.

    A change with a secret is made by its form, which is the page that follows; nothing is changed before.

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
        _check(job, request, actor)
        change = change_of(job)
        operation = find_operation(change.operation)
        if operation.form is not None:
            address = f"{operation.form(change.values)}?{urlencode({'approved': job.code})}"
            return Applied(
                message=_("Others have approved this change. Enter what is secret, then save it."), page=address
            )
        assert operation.apply is not None
        with guarded_changes.applying(change):
            applied = operation.apply(change.values, actor)
        _end(job, request, actor)
    return applied


def use_approved(change: Change, actor: Actor) -> bool:
    """End the approved request for a change, within the transaction that makes it. Return whether there is one.

    Raises:
        ConflictError: it has expired, or is another plan by now.
        NotGenuine: it, or a decision on it, is not as it was recorded.

    """
    kind = find_operation(change.operation).action
    waiting = Job.objects.select_for_update().filter(state=JobState.AWAITING, kind=kind, requested_by=actor.user_id)
    for job in waiting.order_by("created_at"):
        request = ApprovalRequest.objects.select_related("job").filter(job=job).first()
        if request is not None and change_of(job) == change and is_ready(request):
            _check(job, request, actor)
            _end(job, request, actor)
            return True
    return False


def find_values(code: str, operation: str, user_id: int | None) -> Mapping[str, Any]:
    """Return what a waiting request of a user asks for; nothing where there is none of this code and operation."""
    job = Job.objects.filter(code=code, state=JobState.AWAITING, requested_by=user_id).first()
    if job is None or not registry.is_applied_by_requester(job) or change_of(job).operation != operation:
        return {}
    return change_of(job).values


def is_approved(code: str, action: str, user_id: int | None) -> bool:
    """Return whether a user's request of this code and action waits for nothing but its requester."""
    requests = ApprovalRequest.objects.select_related("job")
    request = requests.filter(job__code=code, job__kind=action, job__requested_by=user_id).first()
    return request is not None and waits_for_requester(request)


def _check(job: Job, request: ApprovalRequest, actor: Actor) -> None:
    """Check what a worker checks of other jobs, after locking the rows that the plan is made from."""
    request = ApprovalRequest.objects.select_related("job").get(pk=request.pk)
    check_request(job)
    check_not_ended(job)
    check(actor, registry.right_for(job), job)
    if not is_ready(request):
        raise ConflictError(_("The change lacks approvals."), _("Wait until others have approved it."))
    change = change_of(job)
    # Until the end of the transaction nothing that the plan is made from changes.
    find_operation(change.operation).lock(change.values, actor)
    check_approved(job)


def _end(job: Job, request: ApprovalRequest, actor: Actor) -> None:
    lifecycle.end_applied(job)
    record_of("job.finished", request, f"Applied by {actor.name}", actor=actor)


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
