"""Changes that others approve, for tests: a user who is changed, and the request for it as pages make it."""

from __future__ import annotations

import pytest

from jobs.approvals.changes import apply_change
from jobs.kinds.apply_change.spec import request_change
from kmes.accounts.models import User
from kmes.accounts.services import UserValues, update_user
from kmes.core.guarded_changes import ApprovalNeeded, asking_with
from tests.jobs.approving import REASON, request_of


def ask(act, *, actor):
    """Return the job that a page leads to, whose service asks for approvals."""
    with asking_with(REASON), pytest.raises(ApprovalNeeded) as needed:
        act()
    return request_change(change=needed.value.change, actor=actor, reason=needed.value.reason)


def ask_for_role(name, role, *, actor):
    """Request that a user gets a role."""
    return ask(
        lambda: update_user(user=User.objects.get(username=name), values=UserValues(role), actor=actor), actor=actor
    )


def apply(job, actor):
    """Apply a change as the requester's page does."""
    applied = apply_change(request=request_of(job), actor=actor)
    job.refresh_from_db()
    return applied
