"""Break glass for tests, by the services that pages call."""

from __future__ import annotations

from jobs.approvals import break_glass as services
from kmes.accounts.models import AuthenticatorApp, User
from kmes.core.clock import now
from tests.jobs.approving import request_of

WHY = "The key is stolen and the others can't be reached"


def give_app(actor):
    """Give a user an authenticator app, so that they have a second factor."""
    AuthenticatorApp.objects.create(
        user=User.objects.get(pk=actor.user_id), sealed_seed=b"-", added_at=now(), last_step=0
    )


def break_glass(job, actor, *, reason=WHY, seen=None, proof=None):
    """Let a job go on alone as the page does, on the plan that it shows."""
    request = request_of(job)
    decision = services.break_glass(
        request=request, reason=reason, seen=request.digest if seen is None else seen, actor=actor, proof=proof
    )
    job.refresh_from_db()
    return decision
