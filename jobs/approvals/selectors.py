"""Reads of approvals for their pages. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.approvals.models import ApprovalPolicy, ApprovalRequest, Verdict
from jobs.choices import JobState
from jobs.engine.approval_policies import PolicyKey, actions, describe_scopes_of, find_policies, may_be_narrowed
from jobs.engine.approval_requests import read_requirements, requirements_in
from jobs.engine.approver_places import approving_places
from jobs.engine.break_glass import find_break_glass, list_unreviewed
from jobs.kinds.apply_change.spec import CHANGE_KINDS
from jobs.models import Job
from kmes.core.clock import now
from kmes.core.errors import KmesError
from kmes.core.ids import job_code

_ENDS: dict[str, tuple[str | Promise, str]] = {
    "approval_refused": (_("Refused"), "bad"),
    "approval_expired": (_("Expired"), "neutral"),
    "approval_void": (_("Void"), "bad"),
    "not_approved": (_("Not genuine"), "bad"),
}


@dataclass(frozen=True)
class PolicyLine:
    """An action and a policy of it; ``problem`` says why its policies can't be relied on.

    ``scope`` says in words where the policy holds. ``is_narrowed`` is whether it is for a scope, and ``may_be_narrowed``
    whether such policies can be added beside this one.
    """

    action: str
    label: str
    scope: str
    policy: ApprovalPolicy | None
    problem: str = ""
    is_narrowed: bool = False
    may_be_narrowed: bool = False


def list_requests(user: Any, *, show: str = "open") -> QuerySet[ApprovalRequest]:
    """Return requests, newest first: all, those that are open, that the user can decide or apply, or to be reviewed."""
    rows: QuerySet[ApprovalRequest] = (
        ApprovalRequest.objects.select_related("job")
        .prefetch_related("decisions")
        .annotate(given=Count("decisions", filter=Q(decisions__verdict=Verdict.APPROVE)))
    )
    if show in {"open", "mine", "apply"}:
        rows = _open(rows)
    if show == "review":
        rows = rows.filter(pk__in=[each.request_id for each in list_unreviewed()])
    if show == "mine":
        rows = rows.filter(pk__in=_for_user(rows, user).to_decide)
    if show == "apply":
        rows = rows.filter(pk__in=_for_user(rows, user).to_apply)
    return rows.order_by("-requested_at")


def count_to_decide(user: Any) -> int:
    """Return how many requests wait for this user's decision, in one query: each page asks every few seconds."""
    return len(_for_user(_open(ApprovalRequest.objects.all()), user).to_decide)


def count_to_apply(user: Any) -> int:
    """Return how many approved changes wait for this user to apply them, as far as their rows say, in one query."""
    return len(_for_user(_open(ApprovalRequest.objects.all()), user).to_apply)


def _open(rows: QuerySet[ApprovalRequest]) -> QuerySet[ApprovalRequest]:
    return rows.filter(job__state=JobState.AWAITING, expires_at__gt=now())


@dataclass(frozen=True)
class _Waiting:
    """The ids of the open requests that wait for a user: for a decision, or to be applied."""

    to_decide: list[int]
    to_apply: list[int]


def _for_user(rows: QuerySet[ApprovalRequest], user: Any) -> _Waiting:
    """Return which of these requests wait for a user."""
    found = _Waiting([], [])
    counted = rows.annotate(
        approved=Count("decisions", filter=~Q(decisions__verdict=Verdict.REFUSE)),
        own=Count("decisions", filter=Q(decisions__user=user)),
    )
    columns = ("pk", "requirements", "job__kind", "job__requested_by_id", "approved", "own")
    for pk, stored, kind, requester_id, approved, own in counted.values_list(*columns):
        wanted = read_requirements(stored)
        is_ready = kind in CHANGE_KINDS and approved >= max((each.approvals for each in wanted), default=1)
        if requester_id == user.pk:
            found.to_apply.extend([pk] if is_ready else [])
        elif not own and not is_ready and _has_role(pk, {each.role for each in wanted}, user):
            found.to_decide.append(pk)
    return found


def _has_role(request_id: int, roles: set[str], user: Any) -> bool:
    """Return whether a user has one of these roles for what a request is about."""
    if user.role in roles:
        return True
    # What the job works on is read only where a role for a scope could count.
    return bool(roles & user.role_codes) and bool(
        roles & user.roles_at(approving_places(Job.objects.get(approval_request=request_id)))
    )


def find_request(code: str) -> ApprovalRequest | None:
    """Return the request for approval of the job of this code, in any case, with or without ``job-``."""
    rows = ApprovalRequest.objects.select_related("job__group__vault", "job__credential", "job__requested_by")
    rows = rows.defer("job__credential__sealed_secret")
    return rows.filter(job__code=job_code(code)).first()


def describe_state(request: ApprovalRequest) -> tuple[str, str]:
    """Return how a request stands, and the colour of it."""
    job = request.job
    if job.state == JobState.AWAITING:
        return (
            (str(_("To be applied")), "info")
            if _is_approved_change(request)
            else (str(_("Awaiting approval")), "warning")
        )
    if job.error_code in _ENDS:
        label, colour = _ENDS[job.error_code]
        return (str(label), colour)
    if job.state == JobState.CANCELLED and job.started_at is None:
        return (str(_("Withdrawn")), "neutral")
    if find_break_glass(request.decisions.all()) is not None:
        return (str(_("Break glass")), "bad")
    return (str(_("Approved")), "good")


def _is_approved_change(request: ApprovalRequest) -> bool:
    """Return whether a change has its approvals, as far as rows say: what applies it looks closer."""
    if request.job.kind not in CHANGE_KINDS:
        return False
    decisions = request.decisions.all()
    approved = sum(each.verdict == Verdict.APPROVE for each in decisions)
    wanted = max((each.approvals for each in requirements_in(request)), default=1)
    return approved >= wanted or find_break_glass(decisions) is not None


def list_policies() -> list[PolicyLine]:
    """Return each action that a policy can be about, with the policy that holds everywhere and those for scopes."""
    problems: dict[str, str] = {}
    try:
        found = find_policies(action for action, _label in actions())
    except KmesError:
        found, problems = _policies_one_by_one()
    keys = [
        key
        for action, _label in actions()
        for key in (
            PolicyKey(action),
            *sorted(each for each in found if each.action == action and each.scope_kind and found[each].approvals),
        )
    ]
    labels = dict(actions())
    return [
        PolicyLine(
            key.action,
            labels[key.action],
            scope,
            found.get(key),
            problems.get(key.action, ""),
            is_narrowed=bool(key.scope_kind),
            may_be_narrowed=not key.scope_kind and may_be_narrowed(key.action),
        )
        for key, scope in zip(keys, describe_scopes_of(keys), strict=True)
    ]


def _policies_one_by_one() -> tuple[dict[PolicyKey, ApprovalPolicy], dict[str, str]]:
    """Return the policies of the actions whose can be relied on, and why those of the others can't, by action."""
    found: dict[PolicyKey, ApprovalPolicy] = {}
    problems = {}
    for action, _label in actions():
        try:
            found |= find_policies([action])
        except KmesError as error:
            problems[action] = str(error)
    return found, problems
