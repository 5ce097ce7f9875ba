"""What happens to a long call: its service counts as slow, and the call may be given up.

It is given up for a cancel, and if slow services hold more than their share of the worker while other jobs wait.
Called by the thread that watches calls, and before and during each pause.
"""

from __future__ import annotations

import time

from cloudcreds import circuits
from cloudcreds.models import KeyVault
from cloudcreds.provider.errors import CloudErrorKind
from cloudcreds.provider.recorder import CallRecord
from jobs.engine import admission, hints, lifecycle
from jobs.engine.cancellation import should_stop_waiting
from jobs.engine.run import JobRun

# Seconds after which a call, with the pauses before its repeats, is long.
LONG_SECONDS = 1.0
# The same for the clean-up of a job that was cancelled.
HURRIED_SECONDS = 0.75
# Seconds between two records that the call under way is slow; each lasts for ``circuits.SLOW_FOR_SECONDS``.
RECORD_SECONDS = 5.0
# Kinds of failures that say neither that the vault answers nor that it does not.
_SAY_NOTHING = frozenset({CloudErrorKind.STOPPED, CloudErrorKind.TOO_LATE})


def should_give_up(run: JobRun, vault: KeyVault | None, lasted: float) -> bool:
    """Return whether the call under way, or the pause before its repeat, should end after ``lasted`` seconds."""
    run.has_given_up = _should_give_up(run, vault, lasted)
    return run.has_given_up


def should_give_up_own_work(lasted: float) -> bool:
    """Return whether a call of the system's own work, which is no job, should end because jobs wait for the worker."""
    return lasted >= LONG_SECONDS and admission.are_others_waiting()


def _should_give_up(run: JobRun, vault: KeyVault | None, lasted: float) -> bool:
    if should_stop_waiting(run) or (run.is_hurried and lasted >= HURRIED_SECONDS):
        return True
    if lasted < LONG_SECONDS:
        return False
    _record_slow(run, vault)
    # A change that is given up would be in doubt for minutes.
    return run.announced_call is None and _is_beyond_share(run)


def _record_slow(run: JobRun, vault: KeyVault | None) -> None:
    moment = time.monotonic()
    if run.slow_recorded_at is not None and moment - run.slow_recorded_at < RECORD_SECONDS:
        return
    run.slow_recorded_at = moment
    if vault is not None:
        circuits.record_slow(vault)
        run.troubled_vaults.add(vault.pk)
    elif run.job.credential_id is not None:
        circuits.record_slow_credential(run.job.credential_id)


def record_result(run: JobRun, vault: KeyVault, record: CallRecord) -> None:
    """Tell the vault's circuit how a call ended. Only a call with a status was answered; a token is not the vault's."""
    kind = record.error_kind
    # Its next slow call, perhaps of another vault, is recorded at once.
    run.slow_recorded_at = None
    was_given_up, run.has_given_up = run.has_given_up, False
    if kind in circuits.NO_ANSWER:
        if not was_given_up:
            circuits.record_failure(vault, why=record.message)
            run.troubled_vaults.add(vault.pk)
    elif record.http_status is not None and kind not in _SAY_NOTHING and vault.pk in run.troubled_vaults:
        run.troubled_vaults.discard(vault.pk)
        _wake_waiting(vault)


def _wake_waiting(vault: KeyVault) -> None:
    """Close the vault's circuit, and let the jobs go that wait for the end of its pause."""
    paused_until = circuits.record_answer(vault)
    if paused_until is not None:
        first = lifecycle.wake(vault_id=vault.pk, waiting_until=paused_until)
        if first is not None:
            hints.send(first)


def _is_beyond_share(run: JobRun) -> bool:
    share = admission.share()
    if not share:
        return False
    before = admission.claims_of_slow(run.claim.owner).filter(pk__lt=run.job.pk)
    return before.count() >= share and admission.are_others_waiting()
