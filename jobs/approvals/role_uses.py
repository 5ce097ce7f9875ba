"""Which approval policies name a role: such a role can't be deleted, or nobody could fulfil them."""

from __future__ import annotations

from django.utils.translation import gettext as _

from jobs.approvals.models import ApprovalPolicy
from jobs.choices import OPEN_STATES, JobState
from jobs.engine.approval_policies import actions
from jobs.kinds.set_approval_policy.spec import KIND
from jobs.models import Job


def find_uses(code: str) -> list[str]:
    """Return in sentences which policies name the role, in force or about to be."""
    labels = dict(actions())
    # Jobs first: one that ends meanwhile has left its policy.
    open_jobs = Job.objects.filter(kind=KIND, state__in=(JobState.AWAITING, *OPEN_STATES), params__after__role=code)
    about_to_be = {job.params["action"] for job in open_jobs}
    newest = {policy.action: policy for policy in ApprovalPolicy.objects.order_by("number")}
    named = about_to_be | {action for action, policy in newest.items() if policy.role == code and policy.approvals}
    return [
        _("The approval policy of “%(action)s” names it.") % {"action": labels.get(action, action)}
        for action in sorted(named)
    ]
