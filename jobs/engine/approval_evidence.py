"""What an auditor checks offline of an approval: the plan, the decisions, and what passkeys signed (docs/approvals.md).

Holds nothing secret. ``jobs.approvals.offline`` checks it without the console.
"""

from __future__ import annotations

import base64
from typing import Any

from jobs.approvals.models import ApprovalDecision, ApprovalRequest
from jobs.engine.approval_requests import decision_fields, plan_fields

FORMAT = "kmes approval evidence 1"


def evidence_of(request: ApprovalRequest) -> dict[str, Any]:
    """Return the evidence of a request as plain JSON values."""
    return {
        "format": FORMAT,
        "job": request.job.code,
        "requested_by": request.job.actor_name,
        "digest": request.digest,
        "plan": plan_fields(request),
        "decisions": [_decision(each) for each in request.decisions.select_related("request")],
    }


def _decision(decision: ApprovalDecision) -> dict[str, Any]:
    signature = base64.b64encode(bytes(decision.signature)).decode()
    return {**decision_fields(decision), "proof": decision.proof, "signature": signature}
