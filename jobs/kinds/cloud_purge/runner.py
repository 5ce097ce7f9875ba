"""Purge a deleted Azure key: no version can be recovered any more. Keys here are not touched."""

from __future__ import annotations

from functools import partial

from django.utils.translation import gettext as _

from cloudcreds.provider.types import VersionInfo
from jobs.choices import IntentOperation
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.engine.transaction import RunTransaction
from jobs.journal.intents import resolve_own_calls, unresolved_intents
from jobs.kinds.azure_key import call, confirm_purged, find_deleted, open_vault
from jobs.kinds.push.earlier_calls import resolve_earlier_calls
from jobs.kinds.vault_versions import list_all_versions
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import VersionState
from keygroups.models import KeyGroup
from kmes.core.errors import ConflictError


def run_cloud_purge(run: JobRun) -> None:
    """Purge the deleted Azure key of the job's group.

    Raises:
        ConflictError: the vault holds a live key of that name.

    """
    with step(run, "preflight"):
        group, gateway = open_vault(run)
        live = list_all_versions(gateway, group)
        resolve_earlier_calls(run, gateway, group, live, of_others=True)
        if live and not _is_made_since(run, group, live):
            raise ConflictError(
                _("The vault holds a live key “%(key)s”; only a deleted one can be purged.")
                % {"key": group.azure_name},
                _("Run Cloud > Check Drift: somebody recovered or made it outside this console."),
            )
        deleted = None if live else find_deleted(gateway, group)

        def record(_tx: RunTransaction) -> None:
            if not live:
                key_lifecycle.record_purged(group=group)

        resolve_own_calls(run, lambda: deleted is None, record)
    with step(run, "purge_key"):
        if deleted is not None:
            call(run, IntentOperation.PURGE, partial(gateway.purge_key, group.azure_name), lambda _tx: None)
        if not live:
            confirm_purged(run, gateway, group)
        with run.write() as tx:
            record(tx)
    with step(run, "record"), run.write() as tx:
        tx.add_message(_outcome(group, live))
        tx.add_message(_("Keys here were not touched and can be synchronized again"))


def _is_made_since(run: JobRun, group: KeyGroup, live: list[VersionInfo]) -> bool:
    """Return whether a call of this job whose answer was lost has purged the key, and the live one was made afterwards.

    Azure keeps no live key beside a deleted one of that name, and a recovered key has its former versions.
    """
    is_asked = any(
        intent.job_id == run.job.pk and intent.operation == IntentOperation.PURGE for intent in unresolved_intents(run)
    )
    former = group.cloud_versions.filter(state__in=[VersionState.SOFT_DELETED, VersionState.PURGED])
    return is_asked and not former.filter(azure_version__in=[each.version for each in live]).exists()


def _outcome(group: KeyGroup, live: list[VersionInfo]) -> str:
    if live:
        return _("Purged %(key)s by an earlier call whose answer was lost; the key there now was made afterwards") % {
            "key": group.azure_name
        }
    return _("Purged %(key)s: the vault holds nothing of it any more") % {"key": group.azure_name}


RUNNER = Runner(
    run=run_cloud_purge,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
