"""Decisions on requests for approval, and the end of requests that nobody decided in time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from jobs.approvals.models import ApprovalDecision, ApprovalRequest, Verdict
from jobs.choices import JobState
from jobs.engine import approval_requests, approver_signatures, hints, lifecycle
from jobs.engine.approval_checks import has_enough, read_approvals, read_decisions, why_plan_changed
from jobs.engine.approver_accounts import find_reachable
from jobs.engine.approver_places import approving_places
from jobs.engine.authenticity import NotGenuine
from jobs.engine.creation import subject_of
from jobs.models import Job
from jobs.spec import registry
from kmes.accounts.models import User
from kmes.accounts.roles.selectors import role_name
from kmes.accounts.second_factor.passkeys import statements
from kmes.core.actor import SYSTEM, Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, KmesError, PermissionRefused
from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.services import record

# Somebody writes to the database past the console.
NOT_GENUINE = "approval.not_genuine"


def decide(
    *,
    request: ApprovalRequest,
    verdict: Verdict,
    reason: str,
    seen: str,
    actor: Actor,
    proof: dict[str, Any] | None = None,
) -> ApprovalDecision:
    """Record what a user decided on the plan with the digest ``seen``, and let the job run or end if that settles it.

    ``proof`` is what the user's passkey signed, for an approval by a user who has one.

    Raises:
        PermissionRefused: the user may not decide on it, or did not sign.
        ConflictError: it was decided, cancelled or changed meanwhile, or has expired.
        NotGenuine: the request, or a decision on it, is not as it was recorded; the log has it.

    """
    with alarm(request):
        return _decide(request, verdict=verdict, reason=reason, seen=seen, actor=actor, proof=proof)


@contextmanager
def alarm(request: ApprovalRequest) -> Iterator[None]:
    """Raise the alarm once for a request that turns out not to be genuine, or a decision on it."""
    try:
        yield
    except NotGenuine as error:
        # After the rollback.
        if not LogEntry.objects.filter(service=Service.AUDIT, event=NOT_GENUINE, job_id=request.job_id).exists():
            with transaction.atomic():
                record_of(NOT_GENUINE, request, str(error), actor=SYSTEM)
        raise


def _decide(
    request: ApprovalRequest, *, verdict: Verdict, reason: str, seen: str, actor: Actor, proof: dict[str, Any] | None
) -> ApprovalDecision:
    with transaction.atomic():
        # Decisions on one job come one after the other, so that the last one sees the others.
        job = Job.objects.select_for_update().get(pk=request.job_id)
        request = ApprovalRequest.objects.select_related("job__group__vault", "job__credential").get(pk=request.pk)
        require_open(request, job, seen=seen)
        if reason_against := why_not_decide(request, actor.user_id):
            raise PermissionRefused(reason_against, _("Another user has to decide."))
        if verdict == Verdict.APPROVE and (changed := why_plan_changed(request)):
            raise ConflictError(changed)
        try:
            with transaction.atomic():
                decision = approval_requests.add_decision(
                    request, actor=actor, verdict=verdict, reason=reason, proof=proof
                )
                if verdict == Verdict.APPROVE:
                    require_signature(request, decision)
        except IntegrityError:
            raise ConflictError(_("This user has decided already."), _("Reload the page.")) from None
        record_of(
            "approval.approved" if verdict == Verdict.APPROVE else "approval.refused",
            request,
            f"Reason: {decision.reason or 'none given'}{'. Signed by a passkey' if decision.proof else ''}",
            actor=actor,
        )
        if verdict == Verdict.REFUSE:
            what = _("%(name)s refused the job.") % {"name": actor.name}
            _end(request, KmesError(what, decision.reason, code="approval_refused"), actor=actor)
        elif has_enough(approval_requests.requirements_in(request), read_approvals(request), job):
            release(job)
    return decision


def release(job: Job) -> None:
    """Put a job that has its approvals into the queue; one that its requester applies goes on waiting for that."""
    if not registry.is_applied_by_requester(job):
        lifecycle.queue_approved(job)
        hints.send_on_commit(job.pk)


def require_signature(request: ApprovalRequest, decision: ApprovalDecision) -> None:
    """Check that a passkey signed a decision, where its user has one or the policy asks for it.

    Raises:
        PermissionRefused: none did, or not this decision.

    """
    user = decision.user
    is_asked = any(each.needs_passkey for each in approval_requests.requirements_in(request))
    if not decision.proof and not is_asked and not statements.signs(user):
        return
    if not approver_signatures.is_signed_by_user(decision):
        raise PermissionRefused(
            _("The decision is not signed by a passkey of %(name)s.") % {"name": decision.user_name},
            _("Open the request again and use a passkey."),
        )


def why_not_decide(request: ApprovalRequest, user_id: int | None) -> str:
    """Say why a user may not decide on a request; "" when they may. Reads the user again."""
    user = User.objects.filter(pk=user_id, is_active=True).first() if user_id is not None else None
    needed = approval_requests.requirements_in(request)
    roles = {each.role for each in needed}
    if user is None:
        return _("Only active users can decide.")
    if user.pk == request.job.requested_by_id:
        return _("Requesters can't decide on their own requests.")
    if not roles & user.roles_at(approving_places(request.job)):
        if roles & user.role_codes:
            return _(
                "A role for a scope counts where the scope covers all that the job works on, and where the requester did"
                " not bring that into the scope in the last 30 days."
            )
        names = ", ".join(role_name(role) for role in sorted(roles))
        return _("Users with the role %(roles)s decide on it.") % {"roles": names}
    if user.pk in find_reachable(request.job.requested_by_id, [each.action for each in needed]):
        return _("The requester made this account, or gave it its role or password, less than 30 days ago.")
    return ""


def end_expired() -> None:
    """Cancel the jobs that nobody approved in time."""
    late = ApprovalRequest.objects.filter(job__state=JobState.AWAITING, expires_at__lte=now())
    for request in late.select_related("job__group__vault", "job__credential").order_by("expires_at")[:200]:
        what = KmesError(
            _("Nobody approved the job in time."), _("Retry it, or request it again."), code="approval_expired"
        )
        with transaction.atomic():
            if _end(request, what, actor=SYSTEM):
                record_of("approval.expired", request, "", actor=SYSTEM)


def require_open(request: ApprovalRequest, job: Job, *, seen: str) -> None:
    """Check that a request can still be decided, as it was shown.

    Raises:
        ConflictError: it can't.
        NotGenuine: it, or a decision on it, is not as it was recorded.

    """
    if job.state != JobState.AWAITING:
        raise ConflictError(_("The job no longer waits for approval."), _("Reload the page."))
    if not approval_requests.is_request_genuine(request):
        raise NotGenuine(
            _("The request is not as it was made: its signature does not hold."),
            _("Find out who writes to the database. Cancel the job; if it was meant, request it again."),
        )
    read_decisions(request)
    if seen != request.digest:
        raise ConflictError(_("The plan has changed since it was shown."), _("Reload the page."))
    if request.expires_at <= now():
        raise ConflictError(_("The request has expired."), _("The job has to be requested again."))


def _end(request: ApprovalRequest, error: KmesError, *, actor: Actor) -> bool:
    """Cancel a job that waits for approvals. Return whether it still did. Needs a transaction."""
    job = request.job
    if not lifecycle.end_awaiting(job, error=error):
        return False
    record_of("job.cancelled", request, error.what, actor=actor)
    return True


def record_of(event: str, request: ApprovalRequest, text: str, *, actor: Actor) -> None:
    """Write a row of the Audit log about a request."""
    job = request.job
    record(
        event,
        actor=actor,
        message=f"{job.recorded_title}: {job.subject}. {text}".strip(),
        subject=subject_of(job),
        job_id=job.pk,
        job_code=job.code,
        data={"digest": request.digest},
    )
