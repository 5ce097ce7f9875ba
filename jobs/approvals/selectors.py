"""Reads of approvals for their pages. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.approvals.models import ApprovalPolicy, ApprovalRequest, Verdict
from jobs.choices import JobState
from jobs.engine.approval_policies import actions, find_policy
from jobs.engine.approval_requests import read_requirements
from jobs.engine.break_glass import find_break_glass, list_unreviewed
from kmes.core.clock import now
from kmes.core.errors import KmesError

_ENDS: dict[str, tuple[str | Promise, str]] = {
    "approval_refused": (_("Refused"), "bad"),
    "approval_expired": (_("Expired"), "neutral"),
    "approval_void": (_("Void"), "bad"),
    "not_approved": (_("Not genuine"), "bad"),
}


@dataclass(frozen=True)
class PolicyLine:
    """An action and its policy; ``problem`` says why the policy can't be relied on."""

    action: str
    label: str
    policy: ApprovalPolicy | None
    problem: str


def list_requests(user: Any, *, show: str = "open") -> QuerySet[ApprovalRequest]:
    """Return requests, newest first: all, those that are open, that the user can decide, or that wait for a review."""
    rows: QuerySet[ApprovalRequest] = (
        ApprovalRequest.objects.select_related("job")
        .prefetch_related("decisions")
        .annotate(given=Count("decisions", filter=Q(decisions__verdict=Verdict.APPROVE)))
    )
    if show in {"open", "mine"}:
        rows = _open(rows)
    if show == "review":
        rows = rows.filter(pk__in=[each.request_id for each in list_unreviewed()])
    if show == "mine":
        rows = rows.filter(pk__in=_for_user(rows, user))
    return rows.order_by("-requested_at")


def count_to_decide(user: Any) -> int:
    """Return how many requests wait for this user's decision, in one query: each page asks every few seconds."""
    return len(_for_user(_open(ApprovalRequest.objects.all()), user))


def _open(rows: QuerySet[ApprovalRequest]) -> QuerySet[ApprovalRequest]:
    return rows.filter(job__state=JobState.AWAITING, expires_at__gt=now())


def _for_user(rows: QuerySet[ApprovalRequest], user: Any) -> list[int]:
    """Return the ids of the requests that a user may decide and has not decided yet."""
    theirs = rows.exclude(job__requested_by=user).exclude(decisions__user=user).values_list("pk", "requirements")
    return [pk for pk, wanted in theirs if any(each.role == user.role for each in read_requirements(wanted))]


def find_request(code: str) -> ApprovalRequest | None:
    """Return the request for approval of the job of this code, in any case, with or without ``job-``."""
    rows = ApprovalRequest.objects.select_related("job__group__vault", "job__credential", "job__requested_by")
    rows = rows.defer("job__credential__sealed_secret")
    return rows.filter(job__code=code.upper().removeprefix("JOB-")).first()


def describe_state(request: ApprovalRequest) -> tuple[str, str]:
    """Return how a request stands, and the colour of it."""
    job = request.job
    if job.state == JobState.AWAITING:
        return (str(_("Awaiting approval")), "warning")
    if job.error_code in _ENDS:
        label, colour = _ENDS[job.error_code]
        return (str(label), colour)
    if job.state == JobState.CANCELLED and job.started_at is None:
        return (str(_("Withdrawn")), "neutral")
    if find_break_glass(request.decisions.all()) is not None:
        return (str(_("Break glass")), "bad")
    return (str(_("Approved")), "good")


def list_policies() -> list[PolicyLine]:
    """Return each action that a policy can be about, with the policy in force."""
    lines = []
    for action, label in actions():
        policy, problem = None, ""
        try:
            policy = find_policy(action)
        except KmesError as error:
            problem = str(error)
        lines.append(PolicyLine(action, label, policy, problem))
    return lines
