"""What an approver's passkey signs, and whether it did, checked by the worker against the public keys in the log.

A user who has a passkey approves with it. So an approval counts if its signature holds and the public key is still
registered for its user; one without a signature only if its user had no passkey when the log told of it.
"""

from __future__ import annotations

import hashlib

from jobs.approvals.models import ApprovalDecision, ApprovalRequest
from kmes.accounts.second_factor.passkeys.registered_keys import find_registered
from kmes.core.canonical_json import encode
from kmes.core.columns import cut
from kmes.core.passkey_proofs import ProofError, check
from logging_reports.choices import Service
from logging_reports.models import LogEntry

STATEMENT = "kmes approval statement"
# The log's rows of the decisions that get a job run, each written in the transaction of its decision.
_TOLD = ("approval.approved", "approval.glass_broken")


def stored_reason(typed: str) -> str:
    """Return a comment as it is stored and signed."""
    return cut(ApprovalDecision, "reason", typed.replace("\r\n", "\n").strip())


def statement_of(request: ApprovalRequest, *, user_id: int, verdict: str, reason: str) -> str:
    """Return the SHA-256 (hex) of what a passkey signs: that this user decides so on the plan with this digest."""
    statement = {
        "job": str(request.job_id),
        "digest": request.digest,
        "user": user_id,
        "verdict": str(verdict),
        "reason": reason,
    }
    return hashlib.sha256(encode(STATEMENT, statement)).hexdigest()


def signing_key(decision: ApprovalDecision) -> str:
    """Return the fingerprint of the public key whose passkey signed a decision; "" for one without a signature.

    Raises:
        ProofError: it has one that does not hold.

    """
    if not decision.proof:
        return ""
    statement = statement_of(
        decision.request, user_id=decision.user_id, verdict=decision.verdict, reason=decision.reason
    )
    return check(decision.proof, statement=statement)


def has_broken_signature(decision: ApprovalDecision) -> bool:
    """Return whether a decision comes with a passkey's signature that does not hold for it, by whichever passkey."""
    try:
        signing_key(decision)
    except ProofError:
        return True
    return False


def is_signed_by_user(decision: ApprovalDecision) -> bool:
    """Return whether a passkey signed a decision that is registered for its user at present."""
    try:
        key = signing_key(decision)
    except ProofError:
        return False
    return bool(key) and key in find_registered(decision.user_id)


def counts(decision: ApprovalDecision) -> bool:
    """Return whether a decision counts: a passkey of its user signed it, or its user had none when the log told of it."""
    if decision.proof:
        return is_signed_by_user(decision)
    return not find_registered(decision.user_id, before=_find_told(decision))


def _find_told(decision: ApprovalDecision) -> int | None:
    """Return the sequence of the Audit log's first row about a decision; None where there is none.

    The decision's own time is not believed: whoever holds the key of the web process dates it before the passkey.
    """
    rows = LogEntry.objects.filter(
        service=Service.AUDIT, event__in=_TOLD, job_id=decision.request.job_id, actor_user_id=decision.user_id
    )
    told = rows.order_by("sequence").values_list("sequence", "data")
    digest = decision.request.digest
    return next((place for place, data in told if isinstance(data, dict) and data.get("digest") == digest), None)
