"""Purge a deleted Azure key: no version can be recovered any more. Keys here are not touched."""

from __future__ import annotations

from functools import partial

from django.utils.translation import gettext as _

from jobs.choices import IntentOperation
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.engine.transaction import RunTransaction
from jobs.journal.intents import resolve_own_calls
from jobs.kinds.azure_key import call, confirm_purged, find_deleted, open_vault
from jobs.kinds.push.earlier_calls import resolve_earlier_calls
from keygroups import lifecycle as key_lifecycle
from kmes.core.errors import ConflictError


def run_cloud_purge(run: JobRun) -> None:
    """Purge the deleted Azure key of the job's group.

    Raises:
        ConflictError: the vault holds a live key of that name.

    """
    with step(run, "preflight"):
        group, gateway = open_vault(run)
        live = gateway.list_versions(group.azure_name)
        resolve_earlier_calls(run, gateway, group, live, of_others=True)
        if live:
            raise ConflictError(
                _("The vault holds a live key “%(key)s”; only a deleted one can be purged.")
                % {"key": group.azure_name},
                _("Run Cloud > Check Drift: somebody recovered or made it outside this console."),
            )
        deleted = find_deleted(gateway, group)

        def record(_tx: RunTransaction) -> None:
            key_lifecycle.record_purged(group=group)

        resolve_own_calls(run, lambda: deleted is None, record)
    with step(run, "purge_key"):
        if deleted is not None:
            call(run, IntentOperation.PURGE, partial(gateway.purge_key, group.azure_name), lambda _tx: None)
        confirm_purged(run, gateway, group)
        with run.write() as tx:
            record(tx)
    with step(run, "record"), run.write() as tx:
        tx.add_message(_("Purged %(key)s: the vault holds nothing of it any more") % {"key": group.azure_name})
        tx.add_message(_("Keys here were not touched and can be synchronized again"))


RUNNER = Runner(
    run=run_cloud_purge,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
