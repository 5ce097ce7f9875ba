"""Whether a job has the approvals that it needs, checked by the worker each time it begins to work on it.

Nothing is read from a state column: the policies in force, the request and each decision are verified by their
signatures, and the plan is made anew and compared with the one that was approved.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from jobs.approvals.models import ApprovalDecision, ApprovalRequest, Verdict
from jobs.choices import TargetState
from jobs.engine import approval_policies
from jobs.engine.approval_policies import Requirement, StrangePolicy
from jobs.engine.approval_requests import (
    describe_plan,
    first_of_chain,
    is_decision_genuine,
    is_request_genuine,
    requirements_in,
)
from jobs.engine.approver_accounts import find_reachable
from jobs.engine.authenticity import NotGenuine
from jobs.models import Job
from jobs.spec import registry
from kmes.core.clock import now
from kmes.core.errors import ConflictError


class ApprovalVoid(ConflictError):
    """What was approved holds no more, and nobody has to be alarmed; nothing was done."""

    code = "approval_void"


def check_approved(job: Job) -> None:
    """Check that the job needs no approvals, or has them all.

    Raises:
        NotGenuine: it was put into the queue without them, or the policy is not as this console wrote it.
        ApprovalVoid: it had them, but the world, its approvers or the policy have changed since.
        RequestKeyError: the public halves can't be read.

    """
    if registry[job.kind].approval is None:
        return
    try:
        needed = approval_policies.requirements_of(approval_policies.actions_of(job))
    except StrangePolicy as error:
        # Only somebody who writes to the database does that.
        raise NotGenuine(error.what, error.remedy, code=error.code) from error
    first = first_of_chain(job)
    request = ApprovalRequest.objects.select_related("job").filter(job=first).first()
    if request is None:
        if needed:
            raise _void(_("A policy asks for approvals, and nobody approved the job."))
        return
    if not is_request_genuine(request):
        raise _not_genuine(_("The request for its approval is not as it was made."))
    approvers = _find_approvers(request)
    if job.pk != first.pk:
        _check_link(job, first)
    elif not _has_begun(job):
        if request.expires_at <= now():
            raise _void(_("The approval has expired."))
        if describe_plan(job) != request.plan:
            raise _void(_("What the job works on has changed since it was approved."))
    _check_count(requirements_in(request), approvers, job)
    _check_count(needed, approvers, job)


def why_plan_changed(request: ApprovalRequest) -> str:
    """Say that the plan reads otherwise by now; "" while it is as it was requested."""
    try:
        if describe_plan(request.job) == request.plan:
            return ""
    except ConflictError as error:
        # What it works on is gone.
        return error.what
    return _("What the job works on has changed since it was requested. Cancel the job and request it again.")


def has_enough(needed: Sequence[Requirement], decisions: Sequence[ApprovalDecision]) -> bool:
    """Return whether these approvals, by users who may approve now, are all that is asked for."""
    roles = _roles_of(decisions)
    return all(sum(role == each.role for role in roles.values()) >= each.approvals for each in needed)


def of_others(approvers: Sequence[ApprovalDecision], job: Job, needed: Sequence[Requirement]) -> list[ApprovalDecision]:
    """Return the approvals by users that are not, and can't be, the requester."""
    reachable = find_reachable(job.requested_by_id, [each.action for each in needed])
    return [each for each in approvers if each.user_id not in {job.requested_by_id, *reachable}]


def _find_approvers(request: ApprovalRequest) -> list[ApprovalDecision]:
    """Return the genuine approvals, of which there must be as many as were asked for.

    Raises:
        NotGenuine: there are not, or somebody refused.

    """
    genuine = [each for each in request.decisions.select_related("request") if is_decision_genuine(each)]
    if any(each.verdict == Verdict.REFUSE for each in genuine):
        raise _not_genuine(_("It was refused, and put back into the queue."))
    approvals = [each for each in genuine if each.verdict == Verdict.APPROVE]
    others = {each.user_id for each in approvals if each.user_id != request.job.requested_by_id}
    if len(others) < max(each.approvals for each in requirements_in(request)):
        raise _not_genuine(_("It was put into the queue without the approvals that it needs."))
    return [each for each in approvals if each.user_id in others]


def _check_count(needed: Sequence[Requirement], approvers: Sequence[ApprovalDecision], job: Job) -> None:
    if has_enough(needed, of_others(approvers, job, needed)):
        return
    names = ", ".join(each.user_name for each in approvers)
    raise _void(
        _(
            "The approvals do not suffice by now: %(names)s approved it. Each needs the role that the policy names, and"
            " an account that the requester did not make or reset."
        )
        % {"names": names}
    )


def _roles_of(decisions: Sequence[ApprovalDecision]) -> dict[int, str]:
    """Return the roles of those who decided and are still active, each user once."""
    users = get_user_model().objects.filter(pk__in={each.user_id for each in decisions}, is_active=True)
    return dict(users.values_list("pk", "role"))


def _check_link(job: Job, first: Job) -> None:
    """Check that the approved chain has this job, on nothing but what was approved.

    Raises:
        NotGenuine: it has not.

    """
    links = [link for link in first.params.get("then", ()) if link.get("kind") == job.kind]
    keys = {str(key_id) for key_id in job.targets.values_list("key_id", flat=True)}
    approved = {key for link in links for key in link.get("keys", ())}
    versions = set(job.params.get("versions", ())) <= set(first.params.get("versions", ()))
    if not links or not keys <= approved or not versions or job.group_id not in {None, first.group_id}:
        raise _not_genuine(_("It is no part of what was approved."))


def _has_begun(job: Job) -> bool:
    """Return whether a run before this one may have changed something, so that the world is no more as it was."""
    return job.intents.exists() or job.targets.exclude(state=TargetState.PENDING).exists()


def _void(why: str) -> ApprovalVoid:
    return ApprovalVoid(
        _("The job was not run: %(why)s") % {"why": why}, _("Request it again, so that others can approve it as it is.")
    )


def _not_genuine(why: str) -> NotGenuine:
    return NotGenuine(
        _("The job was not run: %(why)s") % {"why": why},
        _("Find out who writes to the database. If the job was meant, request it again."),
        code="not_approved",
    )
