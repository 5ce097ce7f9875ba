"""The sweep of the KEK ledger: discards what jobs left behind, and checks that the vaults no longer have it.

Runs in a cloud worker, once an hour. Asks vaults; rows change through ``jobs.journal.kek_ledger`` only.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from cloudcreds import circuits
from cloudcreds.access import open_gateway
from cloudcreds.models import KeyVault
from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.recorder import LogRecorder
from hsm.destination_marks import Use
from jobs.choices import FINAL_STATES, KekState
from jobs.engine.slow_calls import should_give_up_own_work
from jobs.journal import kek_ledger
from jobs.models import EphemeralKek, Job
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from kmes.core.errors import KmesError
from logging_reports.services import Subject, store_now

logger = logging.getLogger(__name__)

_SILENT = circuits.NO_ANSWER | {CloudErrorKind.STOPPED}
MAX_SWEEPS = 200
# A vault that refuses for want of a right is asked again after an hour, then after twice as long each time, up to a day.
REFUSED_DELAY = timedelta(hours=1)
LONGEST_REFUSED_DELAY = timedelta(days=1)
# How far back a discarded KEK is still looked for: far longer than a request may be under way.
LATE_SECONDS = 6 * 3600


def sweep() -> int:
    """Discard every KEK whose job has ended or that outlived its time, and confirm those discarded before.

    Returns how many are left over. Runs in a cloud worker. A vault that does not answer is left to the next sweep, and so
    is a slow one while jobs wait for the worker.
    """
    skipped: set[UUID] = set()
    _reopen_late_arrivals(skipped)
    stale = now() - timedelta(seconds=settings.KMES_KEK_LIFETIME_SECONDS)
    rows = (
        EphemeralKek.objects.exclude(state=KekState.GONE)
        .filter(Q(job__state__in=FINAL_STATES) | Q(created_at__lt=stale), sweep_attempts__lt=MAX_SWEEPS)
        .filter(Q(next_sweep_at=None) | Q(next_sweep_at__lte=now()))
        .select_related("vault__credential", "job")
    )
    left = 0
    for row in rows:
        if row.vault_id in skipped:
            left += 1
            continue
        try:
            remains = _sweep_one(row, skipped)
        except KmesError as error:
            remains = str(error)
        if remains:
            left += 1
            row.sweep_attempts += 1
            row.save(update_fields=["sweep_attempts"])
            logger.warning("an ephemeral key is left over: %s", remains)
    return left


def _sweep_one(row: EphemeralKek, skipped: set[UUID]) -> str:
    """Discard one KEK and check that the vault no longer has it. Return what is left to be done ("" for nothing).

    A vault that refuses for want of a right, or does not answer, joins ``skipped``: its other KEKs would fare likewise.
    """
    gateway = _open_for_sweep(row.vault, row.job)
    known = [CloudErrorKind.PERMISSION] if row.sweep_attempts else []
    try:
        with gateway.expecting(*known):
            kek_ledger.discard(gateway, row, store=store_now)
            return kek_ledger.confirm_absence(gateway, row)
    except CloudError as error:
        if error.kind == CloudErrorKind.PERMISSION:
            skipped.add(row.vault_id)
            _postpone(row)
        elif error.kind in _SILENT:
            skipped.add(row.vault_id)
        if row.state == KekState.DISCARDED:
            # What its note says of the purge still counts.
            return f"{row.name}: {error}"
        return kek_ledger.note_left(row, error, store=store_now)


def _postpone(row: EphemeralKek) -> None:
    """Leave the KEKs of a vault alone for a while that grows with each refusal."""
    delay = min(LONGEST_REFUSED_DELAY, REFUSED_DELAY * 2 ** min(row.sweep_attempts, 10))
    EphemeralKek.objects.filter(vault=row.vault_id).exclude(state=KekState.GONE).update(next_sweep_at=now() + delay)


def _reopen_late_arrivals(skipped: set[UUID]) -> None:
    """Mark KEKs as live that the ledger calls deleted or gone and that a vault holds all the same.

    A request that timed out may make its key minutes later, when the job has cleaned up. Only names on
    this ledger count: other installations may use the same vault. Vaults that don't answer join ``skipped``.
    """
    recent = now() - timedelta(seconds=LATE_SECONDS)
    closed = EphemeralKek.objects.filter(
        state__in=[KekState.DELETED, KekState.DISCARDED, KekState.GONE],
        created_at__gte=recent,
        job__state__in=FINAL_STATES,
    )
    for vault in KeyVault.objects.filter(pk__in=closed.values("vault")).select_related("credential"):
        names = list(closed.filter(vault=vault).values_list("name", flat=True))
        try:
            standing = _open_for_sweep(vault).list_key_names(kek_ledger.KEK_PREFIX)
        except KmesError as error:
            if isinstance(error, CloudError) and error.kind in _SILENT:
                skipped.add(vault.pk)
            logger.warning("%s can't be searched for ephemeral keys: %s", vault, error)
            continue
        kek_ledger.reopen(closed.filter(vault=vault, name__in=set(names) & set(standing)))


def _open_for_sweep(vault: KeyVault, job: Job | None = None) -> VaultGateway:
    """Open a gateway for the system's own work. It does not back off: the next sweep tries again."""
    subject = Subject(credential_id=str(vault.credential_id), credential=vault.credential.name, vault=vault.name)
    recorder = LogRecorder(
        actor=SYSTEM, subject=subject, job_id=job.pk if job else None, job_code=job.code if job else ""
    )
    backoff = Backoff(budget_seconds=0, should_stop=should_give_up_own_work)
    return open_gateway(vault.credential, vault, recorder=recorder, backoff=backoff, use=Use())
