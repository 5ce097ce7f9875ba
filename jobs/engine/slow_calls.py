"""What becomes of a call to a vault that lasts long: the vault counts as slow, and the call may be given up.

It is given up for a cancel, and where slow vaults hold more than their share of the worker while other jobs wait.
Asked from the thread that watches calls, and before each pause.
"""

from __future__ import annotations

from cloudcreds import circuits
from cloudcreds.models import KeyVault
from cloudcreds.provider.errors import CloudErrorKind
from cloudcreds.provider.recorder import CallRecord
from jobs.engine import admission, precedence
from jobs.engine.cancellation import should_stop_waiting
from jobs.engine.run import JobRun

# Seconds after which a call is long, beyond those before it is looked at (``cloudcreds.provider.call_watch``).
LONG_SECONDS = 0.25
# The same for the clean-up of a job that was cancelled.
HURRIED_SECONDS = 0.25
# Kinds of failures that say neither that the vault answers nor that it does not.
_SAY_NOTHING = frozenset({CloudErrorKind.STOPPED, CloudErrorKind.TOO_LATE, CloudErrorKind.UNKNOWN_OUTCOME})


def should_give_up(run: JobRun, vault: KeyVault | None) -> bool:
    """Return whether the call under way, or the pause before its repeat, should end now."""
    lasted = run.call_length.seconds()
    if should_stop_waiting(run) or (run.is_hurried and lasted >= HURRIED_SECONDS):
        return True
    if vault is None or lasted < LONG_SECONDS:
        return False
    circuits.record_slow(vault)
    run.troubled_vaults.add(vault.pk)
    # A change that is given up would be in doubt for minutes.
    return run.announced_call is None and _is_beyond_share(run)


def record_result(run: JobRun, vault: KeyVault, record: CallRecord) -> None:
    """Tell the vault's circuit how a call ended. Only a call with a status was answered; a token is not the vault's."""
    kind = record.error_kind
    if kind in circuits.NO_ANSWER:
        circuits.record_failure(vault, why=record.message)
        run.troubled_vaults.add(vault.pk)
    elif record.http_status is not None and kind not in _SAY_NOTHING and vault.pk in run.troubled_vaults:
        circuits.record_answer(vault)
        run.troubled_vaults.discard(vault.pk)


def _is_beyond_share(run: JobRun) -> bool:
    share = admission.share()
    if not share:
        return False
    before = admission.claims_of_slow_vaults(run.claim.owner).filter(pk__lt=run.job.pk)
    return before.count() >= share and precedence.find_waiting().exclude(admission.is_slow()).exists()
