"""Delete an Azure key with all its versions. Keys here are not touched."""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.provider.types import DeletedKey
from jobs.choices import IntentOperation, IntentState
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.journal.intents import announce, announced, resolve, resolve_own_calls
from jobs.kinds.azure_key import confirm_deleted, open_vault
from jobs.kinds.push.earlier_calls import resolve_earlier_calls
from jobs.kinds.vault_versions import list_all_versions
from keygroups import lifecycle as key_lifecycle
from keygroups.models import KeyGroup
from kmes.core.clock import now
from kmes.core.errors import ConflictError


def run_cloud_delete(run: JobRun) -> None:
    """Delete the Azure key of the job's group.

    Raises:
        ConflictError: the vault holds versions that were not known when the job was requested.

    """
    with step(run, "preflight"):
        group, gateway = open_vault(run)
        versions = list_all_versions(gateway, group)
        resolve_earlier_calls(run, gateway, group, versions, of_others=True)
        _check_precondition(run, group, {version.version for version in versions})
        deleted = None if versions else gateway.get_deleted(group.azure_name)
        resolve_own_calls(run, lambda: not versions, lambda _tx: _record_deleted(group, deleted))
    with step(run, "delete_key"):
        if versions:
            with run.write() as tx:
                intent = announce(tx, IntentOperation.DELETE)
            with announced(run, intent):
                deleted = gateway.delete_key(group.azure_name)
            confirm_deleted(gateway, group)
            with run.write() as tx:
                resolve(tx, intent, IntentState.OK)
                _record_deleted(group, deleted)
    with step(run, "record"), run.write() as tx:
        # Once more, for a key that was gone already.
        _record_deleted(group, deleted)
        tx.add_message(_("Deleted %(key)s in the vault with all its versions") % {"key": group.azure_name})
        if deleted and deleted.recovery_id:
            tx.add_message(_("It can be recovered until %(date)s") % {"date": f"{deleted.scheduled_purge_on:%Y-%m-%d}"})
        tx.add_message(_("Keys here were not touched"))


def _check_precondition(run: JobRun, group: KeyGroup, found: set[str]) -> None:
    """Stop when the vault holds a version that was not known when the job was requested."""
    strangers = sorted(found - set(run.job.params["versions"]))
    if strangers:
        raise ConflictError(
            _("The vault holds %(count)d version(s) of “%(key)s” that this console did not know of: %(versions)s.")
            % {"count": len(strangers), "key": group.azure_name, "versions": ", ".join(strangers[:5])},
            _("Run Cloud > Check Drift, review the versions, and try again."),
        )


def _record_deleted(group: KeyGroup, deleted: DeletedKey | None) -> None:
    recoverable = deleted is not None and deleted.recovery_id
    key_lifecycle.record_deleted(
        group=group,
        deleted_at=(deleted.deleted_on if deleted else None) or now(),
        scheduled_purge_at=deleted.scheduled_purge_on if deleted and recoverable else None,
    )


RUNNER = Runner(
    run=run_cloud_delete,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
