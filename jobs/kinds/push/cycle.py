"""Brings keys into the vault, for synchronize and rotate. The order of the steps is what makes it safe.

For each key group of the job, one after the other (the KEK serves all groups of a vault):

1. preflight      ask the vault what it holds; adopt versions that hold our keys already; stop where a policy
                  that is known denies the keys
2. create_kek     ledger row, then an RSA-HSM key in the vault that may only import
3. wrap_key       in the device: key under one-time AES key under KEK; blobs stay in memory. The first one
                  here, the others while those before them are imported
4. import_key     per key: intent row, commit, PUT, result row
5. verify_import  the vault's public key is ours; the newest version is the one imported last
6. record_version
7. discard_kek    delete, and purge where the vault soft-deletes

A crash after 1 leaves nothing; after 2 a KEK on the ledger; after 3 the same; inside 4 a pending
intent, which the next run resolves by looking (adopt) or by waiting out the quarantine (import
again); after 5 or 6 a KEK; after 7 a row on the ledger that says too little. Each run begins with 1 again.
"""

from __future__ import annotations

import time

from django.utils.translation import gettext as _

from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VaultKey
from hsm.mark_checks import REFUSED_EVENT
from hsm.verified import VerifiedDestination
from jobs.choices import KekState
from jobs.engine.cancellation import stop_if_requested
from jobs.engine.gateways import gateway_for, verified_group
from jobs.engine.interruptions import WaitUntil
from jobs.engine.lifecycle import LeaseLost
from jobs.engine.run import JobRun
from jobs.engine.steps import begin_deferred, end_deferred, step
from jobs.engine.transaction import RunTransaction
from jobs.journal.kek_ledger import discard_kek, is_near_expiry, obtain_kek
from jobs.kinds.each_group import read_group, work_on_groups
from jobs.kinds.push.batches import batched
from jobs.kinds.push.imports import import_all
from jobs.kinds.push.preflight import check_vault
from jobs.kinds.push.wrap import WrapAhead
from jobs.models import EphemeralKek, JobTarget
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import LIVE_VERSION_STATES
from keygroups.models import Key, KeyGroup
from kmes.core.errors import ConflictError, KmesError
from logging_reports.choices import Severity

# Seconds between the looks at a current version that lags behind.
LAG_PAUSES = (1, 2, 4, 8)


def push(run: JobRun) -> None:
    """Push the job's pending targets. An error that concerns one key is recorded on its target.

    Raises:
        KmesError: the whole job can't go on. The KEK has been discarded, unless the error is retryable.
        WaitUntil: the job must look again later, with the same KEK.

    """
    try:
        if run.job.group_id is None:
            work_on_groups(run, lambda group: _push_group(run, group), abandon_key=abandon_push)
        else:
            _push_group(run, read_group(run.job.group_id))
    except (WaitUntil, LeaseLost):
        raise
    except KmesError as error:
        if not error.retryable:
            discard_job_keks(run)
            # Whoever ends the job looks for its KEKs once more.
            run.flush()
        raise
    discard_job_keks(run)


def _push_group(run: JobRun, group: KeyGroup) -> None:
    group, destination = verified_group(run, group)
    if pending := check_vault(run, group):
        _wrap_and_import(run, group, destination, pending)


# --- 2 to 6 ------------------------------------------------------------------------------------
def _wrap_and_import(run: JobRun, group: KeyGroup, destination: VerifiedDestination, pending: list[JobTarget]) -> None:
    gateway = gateway_for(run, group.vault)
    with step(run, "create_kek", deferred=True):
        row, kek = obtain_kek(run, group.vault, group.spec.kek_bits)
    newest = ""
    for batch in batched(pending):
        if is_near_expiry(row):
            row, kek = obtain_kek(run, group.vault, group.spec.kek_bits)
        with WrapAhead(run.device(), gateway, kek, destination) as wrapping:
            with step(run, "wrap_key", deferred=True):
                wrapping.start(batch, when_slow=run.flush)
                _log_refused(run, wrapping)
            newest = import_all(run, gateway, group, batch, wrapping) or newest
    begin_deferred(run, "verify_import")
    if newest:
        _verify_current(run, gateway, group, newest)
        run.defer(lambda tx: _tell_demotion(tx, group, newest))
    end_deferred(run, "verify_import")
    # The versions were recorded as they came.
    end_deferred(run, "record_version")


def _log_refused(run: JobRun, wrapping: WrapAhead) -> None:
    """Raise the alarm about keys without the device's mark: one row for a batch. Each key fails on its own."""
    if wrapping.refused:
        whys = {name: error.what for name, error in wrapping.refused.items()}
        run.log_deferred(REFUSED_EVENT, next(iter(whys.values())), data={"refused": whys})


def _verify_current(run: JobRun, gateway: VaultGateway, group: KeyGroup, newest: str) -> None:
    """Check that the vault's current version is the one imported last. It may show the one before for some seconds."""
    current = gateway.get_key(group.azure_name)
    for pause in LAG_PAUSES:
        if current is None or current.version == newest or not _is_older(gateway, group, current, newest):
            break
        time.sleep(pause)
        stop_if_requested(run)
        current = gateway.get_key(group.azure_name)
    if current is not None and current.version == newest:
        return
    found = current.kid if current else _("nothing")
    with run.write() as tx:
        tx.log("azure.drift_found", f"The vault's current version is {found}")
    if current is not None and _is_older(gateway, group, current, newest):
        raise ConflictError(
            _("The vault still calls an older version of “%(key)s” current: %(found)s.")
            % {"key": group.azure_name, "found": found},
            _("Run Cloud > Check Drift in a few minutes: it reads which version is current."),
        )
    raise ConflictError(
        _("Somebody else changed “%(key)s” meanwhile: the vault's current version is %(found)s.")
        % {"key": group.azure_name, "found": found},
        _("Run Cloud > Check Drift, and force a rotation to make a key of yours the current one."),
    )


def _is_older(gateway: VaultGateway, group: KeyGroup, current: VaultKey, newest: str) -> bool:
    """Return whether a version came into the vault before the one that was imported last, so that nobody made it meanwhile."""
    if group.cloud_versions.filter(azure_version=current.version).exists():
        return True
    imported = gateway.get_key(group.azure_name, newest)
    return (
        imported is not None
        and imported.created_on is not None
        and current.created_on is not None
        and current.created_on < imported.created_on
    )


def _tell_demotion(tx: RunTransaction, group: KeyGroup, newest: str) -> None:
    """Say that an older key became the current version, after a newer one had been it."""
    live = group.cloud_versions.filter(state__in=LIVE_VERSION_STATES).select_related("key").order_by("-ordinal")
    former = live.exclude(key__job_targets__job=tx.job).first()
    if former is None:
        return
    mine = live.filter(azure_version=newest).first()
    if mine is None or former.key.created_at <= mine.key.created_at:
        return
    text = _(
        "“%(older)s” is the current version of “%(name)s” now; “%(newer)s”, which is newer and was current before, "
        "no longer is."
    )
    tx.add_message(
        text % {"older": mine.key.name, "name": group.azure_name, "newer": former.key.name}, Severity.WARNING
    )


# --- 7 -----------------------------------------------------------------------------------------
def discard_job_keks(run: JobRun) -> None:
    """Discard the job's KEKs. One that can't be discarded now is left to the sweep, and a message says so."""
    run.may_cancel = False
    rows = list(
        EphemeralKek.objects.filter(job=run.job)
        .exclude(state__in=[KekState.DISCARDED, KekState.GONE])
        .select_related("vault__credential")
    )
    if not rows:
        return
    begin_deferred(run, "discard_kek")
    left, kept = [], []
    for row in rows:
        run.flush_if_late()
        if failure := discard_kek(gateway_for(run, row.vault), row, store=run.store_with_next, flush=run.flush):
            left.append(failure)
        elif row.note:
            # It stays deleted on purpose, or for a while, which is no warning.
            kept.append(f"{row.name}: {row.note}")
    end_deferred(run, "discard_kek", "; ".join([*left, *kept]), is_warning=bool(left))
    if not left and not kept:
        return
    with run.write() as tx:
        for note in left:
            tx.add_message(_("The ephemeral key is left to the sweep: %(note)s") % {"note": note}, Severity.WARNING)
        for note in kept:
            tx.add_message(_("Ephemeral key %(note)s") % {"note": note})


def abandon_push(_tx: RunTransaction, key: Key) -> None:
    """Record that a key of the job was not pushed, so that another job may push it."""
    key_lifecycle.fail_push(key=key)
