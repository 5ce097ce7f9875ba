"""Policies, requests and approvals for tests, by the services that pages call."""

from __future__ import annotations

from django.contrib.auth import get_user_model

from jobs.approvals import services
from jobs.approvals.models import ApprovalRequest, Verdict
from jobs.kinds.set_approval_policy.spec import request_set_approval_policy
from kmes.core.actor import Actor
from tests.jobs.builders import work

REASON = "The contract with the customer has ended"


def make_approvers(*names, role="admin"):
    """Users who may approve, as actors."""
    return [Actor.from_user(get_user_model().objects.create_user(name, role=role)) for name in names]


def set_policy(action, *, actor, approvals=1, role="admin", expires_hours=72, **more):
    """Put a policy in force."""
    job = request_set_approval_policy(
        action=action, approvals=approvals, role=role, expires_hours=expires_hours, actor=actor, reason=REASON, **more
    )
    if job.state == "queued":
        work(job)
        assert job.state == "succeeded", job.error_what
    return job


def request_of(job):
    """The request for approval of a job."""
    return ApprovalRequest.objects.select_related("job").get(job=job)


def approve(job, actor, *, verdict=Verdict.APPROVE, reason="", seen=None):
    """Decide on a job as the page does, on the plan that it shows."""
    request = request_of(job)
    seen = request.digest if seen is None else seen
    services.decide(request=request, verdict=verdict, reason=reason, seen=seen, actor=actor)
    job.refresh_from_db()
    return job
