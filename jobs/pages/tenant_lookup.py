"""Looks up the tenant of a credential that was saved with a domain: starts the connection test, which records its id."""

from __future__ import annotations

from cloudcreds.models import CloudCredential
from jobs.choices import OPEN_STATES
from jobs.kinds.test_connection.spec import KIND, request_connection_test
from jobs.models import Job
from kmes.core.actor import Actor


def look_up_tenant(credential: CloudCredential, actor: Actor) -> None:
    """Start a test of the sign-in, unless one that has not begun will do it.

    Raises:
        PermissionRefused: the actor may not manage credentials.

    """
    waiting = Job.objects.filter(kind=KIND, credential=credential, state__in=OPEN_STATES, started_at=None)
    if not waiting.exists():
        request_connection_test(credential=credential, actor=actor)
