"""Opens the gateways through which a run reaches its vaults: log rows, pauses and send deadlines are the run's."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from django.conf import settings
from django.utils.translation import gettext as _

from cloudcreds import circuits
from cloudcreds.access import open_gateway
from cloudcreds.models import KeyVault
from cloudcreds.provider import clocks
from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.recorder import CallRecord, LogRecorder
from cloudcreds.provider.send_deadline import SendBy
from hsm.destination_marks import Use
from hsm.mark_checks import REFUSED_EVENT, MarkError
from hsm.verified import VerifiedDestination
from jobs.engine import fresh_grants
from jobs.engine.creation import subject_of
from jobs.engine.run import JobRun
from jobs.engine.slow_calls import record_result, should_give_up
from keygroups.models import KeyGroup
from keygroups.verification import verify_group
from kmes.core.errors import KmesError


def gateway_for(run: JobRun, vault: KeyVault | None) -> VaultGateway:
    """Return the gateway to a vault, or without one to what the job's credential manages.

    The credential's secret is opened in the device. One gateway per vault and key group, since log rows name both.

    Raises:
        DeviceError: the device can't open the secret.
        KmesError: the job's credential no longer exists.

    """
    slot = (vault.pk if vault else None, run.group.pk if run.group else None)
    if slot not in run.gateways:
        run.gateways[slot] = _open(run, vault)
    return run.gateways[slot]


def _open(run: JobRun, vault: KeyVault | None) -> VaultGateway:
    credential = vault.credential if vault else run.job.credential
    if credential is None:
        raise KmesError(_("The job's cloud credential no longer exists."), _("Choose another credential."))
    if vault is not None and circuits.is_troubled(vault):
        run.troubled_vaults.add(vault.pk)
    log = LogRecorder(
        actor=run.actor,
        subject=subject_of(run.job, group=run.group),
        job_id=run.job.pk,
        job_code=run.job.code,
        sink=run.log_call,
    )
    try:
        gateway = open_gateway(
            credential,
            vault,
            recorder=_CircuitRecorder(run, vault, log) if vault else log,
            backoff=Backoff(
                should_stop=partial(should_give_up, run, vault),
                on_wait=partial(_show_wait, run),
                sleep=time.sleep,
                before_send=partial(_send_deadline, run),
            ),
            use=_use_of(run),
        )
    except MarkError as error:
        _raise_alarm(run, error)
        raise
    if fresh_grants.has_waited(run.job):
        gateway.forget_sign_in()
    return gateway


def verified_group(run: JobRun, group: KeyGroup) -> tuple[KeyGroup, VerifiedDestination]:
    """Return a key group as it is verified, and where its keys go, before any of them is wrapped.

    Raises:
        MarkError: its row, its vault's or its credential's is not as this console saved it.
        DeviceError: the device can't serve.

    """
    try:
        # What is marked is stored with the run's next transaction: the one that begins its first step, before any call.
        return verify_group(group, replace(_use_of(run), store=run.store_with_next))
    except MarkError as error:
        _raise_alarm(run, error)
        raise


def _use_of(run: JobRun) -> Use:
    return Use(run.actor, run.job.pk, run.job.code)


def _raise_alarm(run: JobRun, error: MarkError) -> None:
    run.log_deferred(REFUSED_EVENT, str(error), data={"refused": {run.job.subject: str(error)}})


def describe_clocks(run: JobRun) -> list[str]:
    """Return a sentence for each vault whose clock differs too much from this machine's, as its answers showed."""
    found = [gateway.clock_difference() for gateway in run.gateways.values()]
    return list(
        dict.fromkeys(
            clocks.describe(each, clocks.the_vaults())
            for each in found
            if each is not None and clocks.is_too_large(each)
        )
    )


class _CircuitRecorder:
    """Records calls in the log, and tells the vault's circuit whether it answered."""

    def __init__(self, run: JobRun, vault: KeyVault, log: LogRecorder) -> None:
        self._run, self._vault, self._log = run, vault, log

    def call(self, record: CallRecord) -> None:
        """Record one call."""
        self._log.call(record)
        record_result(self._run, self._vault, record)


def _show_wait(run: JobRun, seconds: float, reason: str) -> None:
    with run.write() as tx:
        tx.add_message(_("Waiting %(seconds)d s: %(reason)s") % {"seconds": round(seconds), "reason": reason})


def _send_deadline(run: JobRun) -> SendBy:
    """Return until when the mutating call that is about to be made may leave this process.

    What is left of an announcement, or of the last proof of the claim, is enough for a call made at once.
    After a pause the claim is proved and the announcement renewed first.

    Raises:
        LeaseLost: another worker has the job; the call must not be made.

    """
    if _current_deadline(run).seconds_left() < settings.KMES_SEND_SECONDS / 2:
        with run.write() as tx:
            if run.announced_call:
                run.announced_call.renew(tx)
    return _current_deadline(run)


def _current_deadline(run: JobRun) -> SendBy:
    return run.announced_call.send_by if run.announced_call else run.send_by
