"""Whether a job has the approvals that it needs, checked by the worker each time it begins to work on it.

State columns are not trusted: the policies in force, the request and each decision are verified by their
signatures, and the plan is computed again and compared with the approved one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from jobs.approvals.models import ApprovalDecision, ApprovalRequest, Verdict
from jobs.engine import approval_amounts, approval_policies, approved_parts
from jobs.engine.approval_policies import Requirement, StrangePolicy
from jobs.engine.approval_requests import (
    approved_job,
    describe_objects,
    describe_plan,
    is_decision_genuine,
    is_request_genuine,
    requested_keys,
    requirements_in,
)
from jobs.engine.approver_accounts import find_reachable
from jobs.engine.approver_places import approving_places
from jobs.engine.approver_signatures import counts, has_broken_signature
from jobs.engine.authenticity import NotGenuine
from jobs.engine.begun_marks import has_begun
from jobs.engine.break_glass import find_break_glass, why_not_valid
from jobs.models import Job
from jobs.spec import registry
from keygroups.choices import KeyState
from kmes.accounts.models import User
from kmes.core.clock import now
from kmes.core.errors import ConflictError


class ApprovalVoid(ConflictError):
    """The approval is void for an ordinary reason; nothing was done and no alarm is needed."""

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
    # Counted anew: neither a state nor what the requesting process found is believed.
    asked = _requirements_of(approval_policies.actions_of(job))
    needed = approval_amounts.applying_to(job, asked, requested_keys(job))
    first = approved_job(job)
    request = _request_of(first)
    if request is None:
        if needed:
            raise _void(_("A policy asks for approvals, and nobody approved the job."))
        return
    decided = _find_decisions(request)
    if job.part_of_id is not None and not approved_parts.is_part_of(job, first):
        raise _not_genuine(_("It is not part of what was approved."))
    if job.pk != first.pk and job.part_of_id is None:
        _check_link(job, first)
    if not has_begun(job):
        _check_unchanged(job, request)
    _check_sufficient(decided, [requirements_in(request), needed], job)


def check_action(job: Job, action: str, *, does: Callable[[], bool], remedy: str) -> None:
    """Check the approvals of a job that, as the vault itself shows, does an action that a policy is about.

    ``does`` asks the vault whether it does; only where there is a policy. ``remedy`` is for a job without a request.

    Raises:
        NotGenuine: its approvals or the policy are not as this console wrote them.
        ApprovalVoid: a policy asks for approvals that it has not.
        RequestKeyError: the public halves can't be read.

    """
    needed = approval_amounts.applying_to(job, _requirements_of([action]), requested_keys(job))
    if not needed or not does():
        return
    request = _request_of(approved_job(job))
    if request is None:
        why = _("A policy asks for approvals of “%(action)s”, which it would do.")
        raise ApprovalVoid(_not_run(why % {"action": approval_policies.label_of(action)}), remedy)
    _check_sufficient(_find_decisions(request), [needed], job)


def why_plan_changed(request: ApprovalRequest) -> str:
    """Say that the plan reads otherwise by now; "" while it is as it was requested."""
    try:
        found = describe_plan(request.job)
    except ConflictError as error:
        # What it works on is gone.
        return error.what
    if found == request.plan:
        return ""
    said = _("What the job works on has changed since it was requested. Cancel the job and request it again.")
    return _with_names(said, approved_parts.name_changed_groups(request.plan, found))


def read_approvals(request: ApprovalRequest) -> list[ApprovalDecision]:
    """Return the approvals by others than the requester.

    Raises:
        NotGenuine: somebody refused, or a decision is not as the web process recorded it.

    """
    return [
        each
        for each in read_decisions(request)
        if each.verdict == Verdict.APPROVE and each.user_id != request.job.requested_by_id
    ]


def read_decisions(request: ApprovalRequest) -> list[ApprovalDecision]:
    """Return the decisions on a request of which nobody refused.

    Raises:
        NotGenuine: somebody refused, or a decision is not as the web process recorded it.

    """
    decisions = list(request.decisions.select_related("request__job"))
    if not all(map(is_decision_genuine, decisions)):
        raise _not_genuine(_("A decision on it is not as it was recorded."))
    if any(map(has_broken_signature, decisions)):
        raise _not_genuine(_("A passkey signed something else than a decision on it."))
    if any(each.verdict == Verdict.REFUSE for each in decisions):
        raise _not_genuine(_("It was refused, and put back into the queue."))
    broken = find_break_glass(decisions)
    if broken is not None and broken.user_id != request.job.requested_by_id:
        raise _not_genuine(_("Somebody else than its requester broke glass for it."))
    return decisions


def has_enough(needed: Sequence[Requirement], approvals: Sequence[ApprovalDecision], job: Job) -> bool:
    """Return whether these approvals of others are all that is asked for.

    They count if their users are active and have the role for what the job works on, if those who have a passkey signed with it, and if the
    requester can't sign in with their accounts.
    """
    reachable = find_reachable(job.requested_by_id, [each.action for each in needed])
    given = {each.user_id: each for each in approvals if each.user_id not in reachable and counts(each)}
    users = User.objects.filter(pk__in=given, is_active=True).prefetch_related("assignments")
    # A role for a scope counts where the scope covers all that the job works on.
    places = approving_places(job) if any(user.scoped_roles for user in users) else ()
    roles = [(user.roles_at(places), bool(given[user.pk].proof)) for user in users]
    return all(
        sum(each.role in held and (is_signed or not each.needs_passkey) for held, is_signed in roles) >= each.approvals
        for each in needed
    )


def _requirements_of(actions: Sequence[str]) -> list[Requirement]:
    try:
        return approval_policies.requirements_of(actions)
    except StrangePolicy as error:
        # Only somebody who writes to the database does that.
        raise NotGenuine(error.what, error.remedy, code=error.code) from error


def _request_of(first: Job) -> ApprovalRequest | None:
    """Return the request for approval of a job, or of the chain that it began.

    Raises:
        NotGenuine: it is not as it was made.

    """
    request = ApprovalRequest.objects.select_related("job").filter(job=first).first()
    if request is not None and not is_request_genuine(request):
        raise _not_genuine(_("The request for its approval is not as it was made."))
    return request


def _find_decisions(request: ApprovalRequest) -> list[ApprovalDecision]:
    """Return the requester's decision to go on alone, or the approvals of others, as many as were asked for.

    Raises:
        NotGenuine: there are too few, somebody refused, or a decision is not as it was recorded.

    """
    broken = find_break_glass(read_decisions(request))
    return _find_approvals(request) if broken is None else [broken]


def _check_sufficient(decided: Sequence[ApprovalDecision], needed: Sequence[Sequence[Requirement]], job: Job) -> None:
    """Check that what ``_find_decisions`` returns suffices for each of these lists of requirements."""
    broken = find_break_glass(decided)
    for each in needed:
        if broken is None:
            _check_count(each, decided, job)
        elif reason := why_not_valid(broken, each):
            raise _void(reason)


def _find_approvals(request: ApprovalRequest) -> list[ApprovalDecision]:
    """Return the approvals of others, of which there must be as many as were asked for.

    Raises:
        NotGenuine: there are not, somebody refused, or a decision is not as it was recorded.

    """
    approvals = read_approvals(request)
    if len({each.user_id for each in approvals}) < max(each.approvals for each in requirements_in(request)):
        raise _not_genuine(_("It was put into the queue without the approvals that it needs."))
    return approvals


def _check_count(needed: Sequence[Requirement], approvals: Sequence[ApprovalDecision], job: Job) -> None:
    if has_enough(needed, approvals, job):
        return
    names = ", ".join(each.user_name for each in approvals)
    raise _void(
        _(
            "The approvals are no longer sufficient: %(names)s approved it. Each needs the role that the policy names, an"
            " account that the requester did not make or reset, and the passkey that signed."
        )
        % {"names": names}
    )


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
        raise _not_genuine(_("It is not part of what was approved."))


def _check_unchanged(job: Job, request: ApprovalRequest) -> None:
    """Check that a job that has changed nothing yet begins in time, in the world that was approved.

    Raises:
        ApprovalVoid: it does not.

    """
    if _has_to_begin_by(job, request) <= now():
        raise _void(_("The approval has expired."))
    changed = _("What the job works on has changed since it was approved.")
    if job.pk == request.job_id:
        found = describe_plan(job)
        if found != request.plan:
            raise _void(_with_names(changed, approved_parts.name_changed_groups(request.plan, found)))
    elif not (approved_parts.is_part_unchanged(job, request) if job.part_of_id else _is_link_unchanged(job, request)):
        raise _void(changed)


def _has_to_begin_by(job: Job, request: ApprovalRequest) -> datetime:
    if job.pk == request.job_id:
        return request.expires_at
    return approved_parts.parts_expire_at(request) if job.part_of_id else _link_expires_at(job, request)


def _with_names(said: str, names: str) -> str:
    return f"{said} {_('Key groups: %(names)s.') % {'names': names}}" if names else said


def _link_expires_at(job: Job, request: ApprovalRequest) -> datetime:
    """Return until when the later job of a chain has to begin: it has as long as approvers had, from its request on."""
    return job.created_at + timedelta(hours=min(each.expires_hours for each in requirements_in(request)))


def _is_link_unchanged(job: Job, request: ApprovalRequest) -> bool:
    """Return whether the later job of a chain works on what was approved, but for what the jobs before it changed.

    These change states of the Azure key and its versions. Its place and its versions stay, and so do the keys here; one
    that was destroyed meanwhile is left out by the job.
    """
    approved, found = request.plan["objects"], describe_objects(job)
    places = [
        {name: value for name, value in each.get("group", {}).items() if name != "cloud_state"}
        for each in (approved, found)
    ]
    versions = [{version for version, *_state in each.get("versions", ())} for each in (approved, found)]
    return (
        ("group" not in found or places[0] == places[1])
        and versions[1] <= versions[0]
        and all(key in approved["keys"] for key in found["keys"] if key[-1] != KeyState.DESTROYED)
    )


def _not_run(why: str) -> str:
    return _("The job was not run: %(why)s") % {"why": why}


def _void(why: str) -> ApprovalVoid:
    return ApprovalVoid(_not_run(why), _("Request it again, so that others can approve it as it is."))


def _not_genuine(why: str) -> NotGenuine:
    return NotGenuine(
        _not_run(why),
        _("Find out who writes to the database. If the job was meant, request it again."),
        code="not_approved",
    )
