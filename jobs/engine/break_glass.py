"""Break glass: a requester proceeds without approvals in an emergency, and another user reviews it afterwards.

The requester's decision is signed like an approval, by the web process and the passkey of a user who has one. The
worker takes it in place of the approvals only if it holds, the policies allow it, and the requester still has the right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.utils.translation import gettext as _

from jobs.approvals.models import ApprovalDecision, ApprovalRequest, BreakGlassReview, Verdict
from jobs.engine.approval_policies import Requirement, microseconds
from jobs.engine.approval_requests import requirements_in
from jobs.engine.approver_signatures import counts
from jobs.spec import registry
from kmes.accounts.models import User
from kmes.accounts.rights import Right, rights_of
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.request_keys import Signer
from kmes.core.request_signatures import encode, is_signed, sign

REVIEW = "kmes break glass review"


def is_allowed(request: ApprovalRequest, needed: Sequence[Requirement] = ()) -> bool:
    """Return whether the policies of a request, and these, allow its requester to go on alone."""
    spec = registry.find(request.job.kind)
    wanted = [*requirements_in(request), *needed]
    is_of_kind = spec is not None and spec.approval is not None and spec.approval.allows_break_glass
    return is_of_kind and bool(wanted) and all(each.allows_break_glass for each in wanted)


def find_break_glass(decisions: Iterable[ApprovalDecision]) -> ApprovalDecision | None:
    """Return the decision to go on alone, if there is one among those on a request."""
    return next((each for each in decisions if each.verdict == Verdict.BREAK_GLASS), None)


def why_not_valid(decision: ApprovalDecision, needed: Sequence[Requirement]) -> str:
    """Say why a genuine decision of the requester to go on alone is worth nothing at present; "" where it is."""
    user = User.objects.filter(pk=decision.user_id, is_active=True).first()
    if user is None or Right.APPROVAL_BREAK_GLASS not in rights_of(user.role):
        return _("%(name)s, who broke glass for it, may no longer do that.") % {"name": decision.user_name}
    if not is_allowed(decision.request, needed):
        return _("Break glass is not allowed for this request.")
    if not counts(decision):
        return _("The passkey of %(name)s, who broke glass for it, did not sign that, or was removed.") % {
            "name": decision.user_name
        }
    return ""


def add_review(decision: ApprovalDecision, *, actor: Actor, comment: str) -> BreakGlassReview:
    """Add what a reviewer found, signed by the web process."""
    assert actor.user_id is not None
    review = BreakGlassReview(
        decision=decision, user_id=actor.user_id, user_name=actor.name, comment=comment, reviewed_at=now()
    )
    review.signature = sign(_message_of(review), Signer.WEB)
    review.save(force_insert=True)
    return review


def list_unreviewed() -> list[ApprovalDecision]:
    """Return the decisions to go on alone that nobody else has reviewed, the oldest first. One query."""
    rows = ApprovalDecision.objects.filter(verdict=Verdict.BREAK_GLASS).select_related("review", "request__job")
    return [each for each in rows.order_by("decided_at") if find_review(each) is None]


def find_review(decision: ApprovalDecision) -> BreakGlassReview | None:
    """Return the review of a decision; a row that the web process did not write, or by the same user, is none."""
    review: BreakGlassReview | None = getattr(decision, "review", None)
    if review is None or review.user_id == decision.user_id:
        return None
    return review if is_signed(_message_of(review), bytes(review.signature), Signer.WEB) else None


def _message_of(review: BreakGlassReview) -> bytes:
    return encode(
        REVIEW,
        {
            "decision": review.decision_id,
            "user": review.user_id,
            "user_name": review.user_name,
            "comment": review.comment,
            "reviewed_at": microseconds(review.reviewed_at),
        },
    )
