"""Lists vaults for the dialogs of the packages below: starts the job, and tells how far it is."""

from __future__ import annotations

from datetime import timedelta

from cloudcreds.listing import Lister, Listing, Look
from cloudcreds.models import CloudCredential, KeyVault
from jobs.choices import FINAL_STATES, SUCCEEDED_STATES
from jobs.kinds.list_vaults.spec import KIND, request_vault_list
from jobs.models import Job
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.clock import now

# A worker that is there answers within a few seconds.
LATE_AFTER = timedelta(seconds=20)


def start_listing(credential: CloudCredential, actor: Actor) -> Listing:
    """Start the job, or follow the one that is asking already: its answer serves both.

    Raises:
        PermissionRefused: the actor may not list vaults.

    """
    check(actor, Right.VAULT_LIST)
    listings = Job.objects.filter(kind=KIND, credential=credential)
    job = listings.exclude(state__in=FINAL_STATES).first() or request_vault_list(credential=credential, actor=actor)
    return _tell(job)


def find_listing(code: str) -> Listing | None:
    """Return how far the listing of this number is; None when there is none."""
    job = Job.objects.filter(kind=KIND, code=code).first()
    return _tell(job) if job else None


def _tell(job: Job) -> Listing:
    if job.state not in FINAL_STATES:
        is_late = now() - job.created_at > LATE_AFTER
        return Listing(job.code, str(job), job.get_absolute_url(), Look.LATE if is_late else Look.LOOKING)
    if job.state not in SUCCEEDED_STATES:
        error = job.error_what or str(job.get_state_display())
        return Listing(job.code, str(job), job.get_absolute_url(), Look.FAILED, error=error, remedy=job.error_remedy)
    found = KeyVault.objects.filter(credential=job.credential_id, seen_at__gte=job.created_at).count()
    return Listing(job.code, str(job), job.get_absolute_url(), Look.DONE, found=found)


LISTER = Lister(start=start_listing, find=find_listing)
