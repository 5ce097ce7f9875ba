"""Going on alone with one's own request in an emergency, and the review of it by somebody else."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from jobs.approvals.models import ApprovalDecision, ApprovalRequest, BreakGlassReview, Verdict
from jobs.approvals.services import alarm, record_of, release, require_open, require_signature
from jobs.engine import approval_amounts, approval_policies, approval_requests
from jobs.engine import break_glass as engine
from jobs.engine.approval_checks import why_plan_changed
from jobs.engine.approver_accounts import find_reachable
from jobs.engine.approver_signatures import stored_reason
from jobs.models import Job
from kmes.accounts.models import User
from kmes.accounts.rights import Right, check
from kmes.accounts.second_factor.services import has_factor
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, InputError, PermissionRefused

# Of one user: whoever breaks glass again and again is reviewed first.
MOST_UNREVIEWED = 3


def break_glass(
    *, request: ApprovalRequest, reason: str, seen: str, actor: Actor, proof: dict[str, Any] | None = None
) -> ApprovalDecision:
    """Let a job run without approvals, for its requester, who says why. All administrators are alarmed.

    ``proof`` is what the requester's passkey signed, where they have one. The caller has a second factor proven.

    Raises:
        PermissionRefused: the user may not do that, or did not sign.
        InputError: there is no reason.
        ConflictError: the request is no longer open, or the world has changed.
        NotGenuine: the request, or a decision on it, is not as it was recorded; the log has it.

    """
    if not stored_reason(reason):
        raise InputError(_("Say what the emergency is."), field="reason")
    with alarm(request), transaction.atomic():
        # One after the other, so that the number of open reviews is right.
        list(User.objects.select_for_update().filter(pk=actor.user_id or 0))
        job = Job.objects.select_for_update().get(pk=request.job_id)
        request = ApprovalRequest.objects.select_related("job__group__vault", "job__credential").get(pk=request.pk)
        require_open(request, job, seen=seen)
        check(actor, Right.APPROVAL_BREAK_GLASS)
        if against := why_not_break_glass(request, actor.user_id):
            raise PermissionRefused(against, _("Wait for the approvals."))
        if changed := why_plan_changed(request):
            raise ConflictError(changed)
        try:
            with transaction.atomic():
                decision = approval_requests.add_decision(
                    request, actor=actor, verdict=Verdict.BREAK_GLASS, reason=reason, proof=proof
                )
        except IntegrityError:
            raise ConflictError(_("This user has decided already."), _("Reload the page.")) from None
        require_signature(request, decision)
        record_of(
            "approval.glass_broken",
            request,
            f"{actor.name} broke glass: done without approvals. Reason: {decision.reason}",
            actor=actor,
        )
        release(job)
    return decision


def why_not_break_glass(request: ApprovalRequest, user_id: int | None) -> str:
    """Say why a user with the right can't break glass for a request; "" when they can. Reads the user again."""
    user = User.objects.filter(pk=user_id, is_active=True).first() if user_id is not None else None
    if user is None or user.pk != request.job.requested_by_id:
        return _("Only the requester can break glass.")
    try:
        asked = approval_policies.requirements_of(approval_policies.actions_of(request.job))
    except approval_policies.StrangePolicy as error:
        return error.what
    keys = approval_requests.requested_keys(request.job)
    needed = approval_amounts.applying_to(request.job, asked, keys)
    if not engine.is_allowed(request, needed):
        return _("Break glass is not allowed for this request.")
    if not has_factor(user):
        return _("Breaking glass needs a second factor: a passkey or an authenticator app.")
    waiting = sum(each.user_id == user.pk for each in engine.list_unreviewed())
    if waiting >= MOST_UNREVIEWED:
        return _("%(count)d uses of break glass by this user wait for their review.") % {"count": waiting}
    return ""


def review(*, decision: ApprovalDecision, comment: str, actor: Actor) -> BreakGlassReview:
    """Close the review of a job that was done without approvals.

    Raises:
        PermissionRefused: the user may not review it.
        InputError: there is no comment.
        ConflictError: it was reviewed already.

    """
    check(actor, Right.APPROVAL_MANAGE)
    comment = stored_reason(comment)
    if not comment:
        raise InputError(_("Say what you found."), field="comment")
    with transaction.atomic():
        request = ApprovalRequest.objects.select_related("job__group__vault", "job__credential").get(
            pk=decision.request_id
        )
        if against := why_not_review(request, decision, actor.user_id):
            raise PermissionRefused(against, _("Another administrator has to review it."))
        try:
            with transaction.atomic():
                found = engine.add_review(decision, actor=actor, comment=comment)
        except IntegrityError:
            raise ConflictError(_("It was reviewed already."), _("Reload the page.")) from None
        text = f"{actor.name} reviewed that {decision.user_name} broke glass: {comment}"
        record_of("approval.glass_reviewed", request, text, actor=actor)
    return found


def why_not_review(request: ApprovalRequest, decision: ApprovalDecision, user_id: int | None) -> str:
    """Say why a user with the right can't review it; "" when they can."""
    if user_id is None or user_id == decision.user_id:
        return _("Whoever broke glass can't review it.")
    needed = approval_requests.requirements_in(request)
    if user_id in find_reachable(decision.user_id, [each.action for each in needed]):
        return _("Whoever broke glass made this account, or gave it its role or password, less than 30 days ago.")
    return ""
