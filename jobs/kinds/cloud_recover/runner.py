"""Recover a deleted Azure key: it comes back with all its versions."""

from __future__ import annotations

import time
from functools import partial

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.protocol import VaultGateway
from jobs.choices import IntentOperation
from jobs.engine.interruptions import WaitUntil
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.journal.intents import resolve_own_calls
from jobs.kinds.azure_key import RECHECK_SECONDS, call, find_deleted, open_vault
from jobs.kinds.push.deleted_keys import find_switched, record_switched
from jobs.kinds.push.earlier_calls import resolve_earlier_calls
from jobs.kinds.vault_versions import list_all_versions
from keygroups import lifecycle as key_lifecycle
from keygroups.models import KeyGroup
from kmes.core.errors import ConflictError


def run_cloud_recover(run: JobRun) -> None:
    """Recover the Azure key of the job's group.

    Raises:
        ConflictError: the key was purged.

    """
    with step(run, "preflight"):
        group, gateway = open_vault(run)
        live = list_all_versions(gateway, group)
        resolve_earlier_calls(run, gateway, group, live, of_others=True)
        _resolve_recovery(run, group, is_live=bool(live))
        if not live and find_deleted(gateway, group) is None:
            with run.write():
                key_lifecycle.record_purged(group=group)
            raise ConflictError(
                _("The vault has no deleted key “%(key)s” any more: it was purged.") % {"key": group.azure_name},
                _("Synchronize the keys again."),
            )
    with step(run, "recover_key"):
        if not live:
            call(
                run,
                IntentOperation.RECOVER,
                partial(_recover, gateway, group),
                lambda _tx: key_lifecycle.record_recovered(group=group),
            )
    with step(run, "record"):
        switched = find_switched(gateway, group, gateway.list_versions(group.azure_name))
        with run.write() as tx:
            # Once more, for a key that was live already.
            key_lifecycle.record_recovered(group=group)
            tx.add_message(_("Recovered %(key)s with all its versions") % {"key": group.azure_name})
            record_switched(tx, group, switched)


def _resolve_recovery(run: JobRun, group: KeyGroup, *, is_live: bool) -> None:
    try:
        resolve_own_calls(run, lambda: is_live, lambda _tx: key_lifecycle.record_recovered(group=group))
    except WaitUntil as wait:
        # Rarely a lost call, mostly Azure at work: check again sooner than a lost call is given up.
        raise WaitUntil(_("Azure is still recovering the key"), seconds=min(wait.seconds, RECHECK_SECONDS)) from wait


def _recover(gateway: VaultGateway, group: KeyGroup) -> None:
    """Recover the key and wait until it is live: until then the call stays in doubt, also if the job is cancelled."""
    try:
        gateway.recover_key(group.azure_name)
    except CloudError as error:
        if error.kind != CloudErrorKind.NOT_FOUND:
            raise
        raise WaitUntil(
            _("another look: the deleted key was recovered or purged just now"),
            seconds=RECHECK_SECONDS,
            counts_as_failure=True,
        ) from error
    _await_live(gateway, group)


def _await_live(gateway: VaultGateway, group: KeyGroup) -> None:
    """Wait a moment for the recovered key to show; a longer wait goes through the queue."""
    for pause in (0, 1, 2):
        time.sleep(pause)
        if gateway.list_versions(group.azure_name):
            return
    raise WaitUntil(_("Azure is still recovering the key"), seconds=RECHECK_SECONDS)


RUNNER = Runner(
    run=run_cloud_recover,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
