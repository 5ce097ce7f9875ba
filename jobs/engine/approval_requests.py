"""What approvers decide on: a job's plan as it is when it is requested, its digest, and their signed decisions.

A request is signed by the process that requests the job, a decision by the web process. Both are added once and never
changed; a worker recomputes the plan and verifies all of it (``jobs.engine.approval_checks``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from jobs.approvals.models import ApprovalDecision, ApprovalRequest, Verdict
from jobs.choices import JobState
from jobs.engine import approval_amounts, approval_policies, approver_signatures, lifecycle
from jobs.engine.approval_policies import Requirement, microseconds
from jobs.engine.signatures import message_of_job
from jobs.models import Job
from jobs.spec import registry
from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.columns import cut
from kmes.core.errors import ConflictError, InputError
from kmes.core.request_keys import Signer
from kmes.core.request_signatures import encode, is_signed, sign
from kmes.core.stored_text import storable_json
from logging_reports.services import Subject, record

PLAN = "kmes approval plan"
REQUEST = "kmes approval request"
DECISION = "kmes approval decision"
# Requests of one user that wait for approval at a time.
MOST_OPEN_OF_A_USER = 20


def require_approvals(job: Job, key_ids: Sequence[UUID], *, reason: str) -> list[Requirement]:
    """Return whose approvals a job needs that is about to be created for these keys, and let it wait for them.

    Raises:
        StrangePolicy: a policy is not as this console wrote it.
        InputError: approvals are needed, and no reason is given.
        ConflictError: the job follows one that nobody approved, or is a part of one; or its requester has too many open
            requests.

    """
    spec = registry[job.kind]
    asked = approval_policies.requirements_of(approval_policies.actions_of(job)) if spec.approval is not None else []
    needed = approval_amounts.applying_to(job, asked, key_ids)
    if not needed:
        return []
    if job.follows is not None or job.part_of is not None:
        if not ApprovalRequest.objects.filter(job=approved_job(job)).exists():
            raise ConflictError(
                _("A policy now requires approvals."), _("Request the job by itself, so that others can approve it.")
            )
        return []
    _refuse_too_many(job)
    if not reason.strip() and job.requested_by_id is not None and job.request_signer != Signer.WORKER:
        raise InputError(_("Approvers need a reason. Say why this is to be done."), field="reason")
    lifecycle.hold_for_approval(job)
    return needed


def _refuse_too_many(job: Job) -> None:
    """Refuse a request of somebody who has many open ones: each is a notice to all approvers.

    Raises:
        ConflictError: there are as many as there may be.

    """
    if job.requested_by_id is None:
        return
    waiting = Job.objects.filter(state=JobState.AWAITING, requested_by=job.requested_by_id).count()
    if waiting >= MOST_OPEN_OF_A_USER:
        raise ConflictError(
            _("%(count)d requests of this user wait for approval already.") % {"count": waiting},
            _("Wait until some are decided, or cancel some."),
        )


def add_request(job: Job, needed: Sequence[Requirement], *, reason: str, actor: Actor, subject: Subject) -> None:
    """Freeze the plan of a job that waits for approvals, within the transaction that creates it."""
    moment = now()
    request = ApprovalRequest(
        job=job,
        plan=describe_plan(job),
        reason=cut(ApprovalRequest, "reason", reason.strip()),
        requirements=[each.as_json() for each in needed],
        requested_at=moment,
        expires_at=moment + timedelta(hours=min(each.expires_hours for each in needed)),
        signer=job.request_signer,
    )
    request.digest = digest_of(request)
    request.signature = sign(_message_of_request(request), Signer(job.request_signer))
    request.save(force_insert=True)
    with language.of_records():
        wanted = "; ".join(approval_policies.describe_all(needed))
    record(
        "approval.requested",
        actor=actor,
        message=f"{job.recorded_title}: {job.subject}. Needed: {wanted}. Reason: {request.reason or 'none given'}",
        subject=subject,
        job_id=job.pk,
        job_code=job.code,
        data={"digest": request.digest, "requirements": request.requirements, "reason": request.reason},
    )


def awaited_approvals(job: Job) -> list[str]:
    """Return in sentences whose approvals a job waits for; nothing, and no query, for one that waits for none."""
    request = getattr(job, "approval_request", None) if job.state == JobState.AWAITING else None
    return approval_policies.describe_all(requirements_in(request)) if request is not None else []


def add_decision(
    request: ApprovalRequest, *, actor: Actor, verdict: Verdict, reason: str, proof: dict[str, Any] | None = None
) -> ApprovalDecision:
    """Add what somebody decided, signed by the web process, with what their passkey signed."""
    assert actor.user_id is not None
    decision = ApprovalDecision(
        request=request,
        user_id=actor.user_id,
        user_name=actor.name,
        verdict=verdict,
        reason=approver_signatures.stored_reason(reason),
        decided_at=now(),
        proof=proof or {},
    )
    decision.signature = sign(_message_of_decision(decision), Signer.WEB)
    decision.save(force_insert=True)
    return decision


def describe_plan(job: Job) -> dict[str, Any]:
    """Return what a job does and what it works on, in the language of records.

    The objects are what the rows say of group, versions and keys: when they change, it is another plan.
    """
    approval = registry[job.kind].approval
    assert approval is not None
    # From rows alone: what the caller has loaded may be older.
    job = Job.objects.get(pk=job.pk)
    with language.of_records():
        plan = approval.plan(job)
        found = {
            "title": str(plan.title),
            "facts": [[str(name), str(value)] for name, value in plan.facts],
            "fates": [[str(fate.thing), str(fate.outcome), fate.colour] for fate in plan.fates],
            "effects": [str(each) for each in plan.effects],
            "warnings": [str(each) for each in plan.warnings],
            "objects": describe_objects(job),
        }
    return dict(storable_json(found))


def digest_of(request: ApprovalRequest) -> str:
    """Return what a decision signs: a digest of the job's request, the plan, the reason and the conditions.

    Raises:
        ValueError: the row holds something that no request has.

    """
    return hashlib.sha256(encode(PLAN, plan_fields(request))).hexdigest()


def plan_fields(request: ApprovalRequest) -> dict[str, Any]:
    """Return what the digest covers.

    Raises:
        ValueError: the row holds something that no request has.

    """
    job = request.job
    return {
        "job": hashlib.sha256(message_of_job(job, requested_keys(job))).hexdigest(),
        "plan": request.plan,
        "reason": request.reason,
        "requirements": request.requirements,
        "requested_at": microseconds(request.requested_at),
        "expires_at": microseconds(request.expires_at),
    }


def is_request_genuine(request: ApprovalRequest) -> bool:
    """Return whether a process of this console requested approvals for this job, with this plan and these conditions."""
    try:
        holds = digest_of(request) == request.digest
    except ValueError:
        return False
    return holds and is_signed(_message_of_request(request), bytes(request.signature), request.job.request_signer)


def is_decision_genuine(decision: ApprovalDecision) -> bool:
    """Return whether the web process recorded this decision on this request."""
    try:
        message = _message_of_decision(decision)
    except ValueError:
        return False
    return is_signed(message, bytes(decision.signature), Signer.WEB)


def requirements_in(request: ApprovalRequest) -> list[Requirement]:
    """Return whose approvals a request asks for; nothing for a row that this console did not write."""
    return read_requirements(request.requirements)


def read_requirements(stored: Any) -> list[Requirement]:
    """Return what a request's column asks for; nothing if this console did not write it."""
    try:
        return [Requirement(**each) for each in stored]
    except TypeError:
        return []


def first_of_chain(job: Job) -> Job:
    """Return the job that began the chain of a job; itself, where it follows none."""
    while job.follows is not None:
        job = job.follows
    return job


def approved_job(job: Job) -> Job:
    """Return the job of whose request the approvals count for a job: of a chain the first, of a part the whole."""
    first = first_of_chain(job)
    return first.part_of or first


def requested_keys(job: Job) -> list[UUID]:
    """Return the keys that a job was requested for, in their order."""
    targets = job.targets.order_by("ordinal", "pk")
    return [target.key_id for target in targets if not target.request_signature]


def describe_objects(job: Job) -> dict[str, Any]:
    """Return what the rows say of the keys of a job and its chain, and of its key groups and their versions."""
    linked = [key for link in job.params.get("then", ()) for key in link.get("keys", ())]
    keys = Key.objects.filter(pk__in=[*requested_keys(job), *linked]).order_by("created_at", "name", "pk")
    found: dict[str, Any] = {
        "keys": [[str(key_id), name, state] for key_id, name, state in keys.values_list("pk", "name", "state")]
    }
    if named := job.params.get("group_ids"):
        found["groups"] = describe_groups(named)
    for group in describe_groups([str(job.group_id)]) if job.group_id else ():
        found["versions"] = group.pop("versions")
        found["group"] = group
    return dict(storable_json(found))


def describe_groups(group_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return what the rows say of key groups and their versions, in this order; those that are gone are left out."""
    groups = {str(each.pk): each for each in KeyGroup.objects.filter(pk__in=group_ids).select_related("vault")}
    versions: dict[str, list[list[Any]]] = {group_id: [] for group_id in groups}
    rows = CloudVersion.objects.filter(group__in=list(groups.values())).order_by("azure_version", "pk")
    for group_id, *version in rows.values_list("group", "azure_version", "state", "enabled"):
        versions[str(group_id)].append(version)
    found = [
        {
            "id": group_id,
            "name": groups[group_id].name,
            "azure_name": groups[group_id].azure_name,
            "vault": groups[group_id].vault.url,
            "credential": str(groups[group_id].credential_id),
            "cloud_state": str(groups[group_id].cloud_state),
            "versions": versions[group_id],
        }
        for group_id in group_ids
        if group_id in groups
    ]
    return list(storable_json(found))


def _message_of_request(request: ApprovalRequest) -> bytes:
    return encode(REQUEST, {"job": str(request.job_id), "digest": request.digest, "signer": request.signer})


def decision_fields(decision: ApprovalDecision) -> dict[str, Any]:
    """Return what the signature of a decision covers."""
    return {
        "job": str(decision.request.job_id),
        "digest": decision.request.digest,
        "user": decision.user_id,
        "user_name": decision.user_name,
        "verdict": str(decision.verdict),
        "reason": decision.reason,
        "decided_at": microseconds(decision.decided_at),
        # Named where it is set only: signatures of earlier releases stay as they are.
        **({"proof": decision.proof} if decision.proof else {}),
    }


def _message_of_decision(decision: ApprovalDecision) -> bytes:
    return encode(DECISION, decision_fields(decision))
