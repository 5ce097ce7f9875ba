"""Delete, recover and purge a whole Azure key. Azure knows no deletion of one version.

All three are addressed by name, so a late or repeated call could meet a key made meanwhile under
the same name. Each run therefore looks first and compares with the versions that were known when
the job was asked for; if the vault differs, it stops and says so. Finding the wanted state is
success.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import DeletedKey
from jobs.choices import IntentState
from jobs.engine.run import JobRun, WaitUntil
from jobs.journal.intents import announce, announced, resolve, seconds_since, settle
from jobs.kinds.push.preflight import settle_earlier_calls
from jobs.models import Intent
from keygroups import lifecycle as key_lifecycle
from keygroups.models import KeyGroup
from kmes.core.clock import now
from kmes.core.errors import ConflictError

# Azure shows a deleted or recovered key only after half a minute or more (AZURE.md 5.4).
SETTLE_SECONDS = 10
DELETING_SECONDS = 120


def _prepare(run: JobRun) -> tuple[KeyGroup, VaultGateway]:
    if run.job.group_id is None:
        raise ConflictError(_("The key group no longer exists."))
    group = KeyGroup.objects.select_related("vault__credential").get(pk=run.job.group_id)
    gateway = run.gateway(group.vault)
    gateway.get_token()
    return group, gateway


def _check_precondition(run: JobRun, group: KeyGroup, found: set[str]) -> None:
    """Stop when the vault holds a version that was not known when the job was asked for."""
    strangers = sorted(found - set(run.job.params["versions"]))
    if strangers:
        raise ConflictError(
            _("The vault holds %(count)d version(s) of “%(key)s” that this console did not know of: %(versions)s.")
            % {"count": len(strangers), "key": group.azure_name, "versions": ", ".join(strangers[:5])},
            _("Run Cloud > Check Drift, look at them, and ask again."),
        )


def run_delete(run: JobRun) -> None:
    """Delete the Azure key with all its versions; keys here are not touched."""
    with run.step("preflight"):
        group, gateway = _prepare(run)
        versions = gateway.list_versions(group.azure_name)
        settle_earlier_calls(run, gateway, group, versions, of_others=True)
        _check_precondition(run, group, {version.version for version in versions})
        deleted = None if versions else gateway.get_deleted(group.azure_name)
        settle(run, lambda: not versions, lambda: _record_deleted(group, deleted))
    with run.step("delete_key"):
        if versions:
            with run.write():
                intent = announce(run, "delete")
            with announced(run, intent):
                deleted = gateway.delete_key(group.azure_name)
            with run.write():
                resolve(intent, IntentState.OK)
                _record_deleted(group, deleted)
    with run.step("record"), run.write():
        # Once more, for a key that was gone already.
        _record_deleted(group, deleted)
        run.say(_("Deleted %(key)s in the vault with all its versions") % {"key": group.azure_name})
        if deleted and deleted.recovery_id:
            run.say(_("It can be recovered until %(date)s") % {"date": f"{deleted.scheduled_purge_on:%Y-%m-%d}"})
        run.say(_("Keys here were not touched"))


def _record_deleted(group: KeyGroup, deleted: DeletedKey | None) -> None:
    recoverable = deleted is not None and deleted.recovery_id
    key_lifecycle.record_deleted(
        group=group,
        deleted_at=(deleted.deleted_on if deleted else None) or now(),
        scheduled_purge_at=deleted.scheduled_purge_on if deleted and recoverable else None,
    )


def _deleted_or_wait(gateway: VaultGateway, group: KeyGroup) -> DeletedKey | None:
    """Return the deleted key; None when the vault has neither it nor a live one."""
    deleted = gateway.get_deleted(group.azure_name)
    if deleted is not None:
        return deleted
    # By our own clock: the vault's may be wrong by hours. A deletion that others made was seen to be over.
    ours = Intent.objects.filter(azure_lock=group.azure_lock, operation="delete").order_by("-sent_at").first()
    if ours is not None and seconds_since(ours) < DELETING_SECONDS:
        raise WaitUntil(_("Azure is still deleting the key"), seconds=SETTLE_SECONDS)
    return None


def run_recover(run: JobRun) -> None:
    """Recover the deleted Azure key; it comes back with all its versions."""
    with run.step("preflight"):
        group, gateway = _prepare(run)
        live = gateway.list_versions(group.azure_name)
        settle_earlier_calls(run, gateway, group, live, of_others=True)
        _settle_recovery(run, group, is_live=bool(live))
        if not live and _deleted_or_wait(gateway, group) is None:
            with run.write():
                key_lifecycle.record_purged(group=group)
            raise ConflictError(
                _("The vault has no deleted key “%(key)s” any more: it was purged.") % {"key": group.azure_name},
                _("Synchronize the keys again."),
            )
    with run.step("recover_key"):
        if not live:
            _call(
                run, "recover", partial(_recover, gateway, group), partial(key_lifecycle.record_recovered, group=group)
            )
    with run.step("record"), run.write():
        # Once more, for a key that was live already.
        key_lifecycle.record_recovered(group=group)
        run.say(_("Recovered %(key)s with all its versions") % {"key": group.azure_name})


def _settle_recovery(run: JobRun, group: KeyGroup, *, is_live: bool) -> None:
    try:
        settle(run, lambda: is_live, partial(key_lifecycle.record_recovered, group=group))
    except WaitUntil as wait:
        # Rarely a lost call, mostly Azure at work: worth a look sooner than a lost call is given up.
        raise WaitUntil(_("Azure is still recovering the key"), seconds=min(wait.seconds, SETTLE_SECONDS)) from wait


def _recover(gateway: VaultGateway, group: KeyGroup) -> None:
    """Recover the key and see it live: until then the call stays in doubt, also for a job that is cancelled."""
    try:
        gateway.recover_key(group.azure_name)
    except CloudError as error:
        if error.kind != CloudErrorKind.NOT_FOUND:
            raise
        raise WaitUntil(
            _("another look: the deleted key was recovered or purged just now"),
            seconds=SETTLE_SECONDS,
            counts_as_failure=True,
        ) from error
    _await_live(gateway, group)


def _await_live(gateway: VaultGateway, group: KeyGroup) -> None:
    """Wait a moment for the recovered key to show; a longer wait goes through the queue."""
    for pause in (0, 1, 2):
        time.sleep(pause)
        if gateway.list_versions(group.azure_name):
            return
    raise WaitUntil(_("Azure is still recovering the key"), seconds=SETTLE_SECONDS)


def _call(run: JobRun, operation: str, act: Callable[[], None], record: Callable[[], None]) -> None:
    """Make one announced call and record what it did; what Azure is still busy with is asked again later."""
    with run.write():
        intent = announce(run, operation)
    try:
        with announced(run, intent):
            act()
    except CloudError as error:
        if error.kind == CloudErrorKind.BEING_DELETED:
            raise WaitUntil(_("Azure is still deleting the key"), seconds=SETTLE_SECONDS) from error
        if error.kind != CloudErrorKind.NOT_FOUND:
            raise
    with run.write():
        resolve(intent, IntentState.OK)
        record()


def run_purge(run: JobRun) -> None:
    """Purge the deleted Azure key: all versions are gone for good; keys here are not touched."""
    with run.step("preflight"):
        group, gateway = _prepare(run)
        live = gateway.list_versions(group.azure_name)
        settle_earlier_calls(run, gateway, group, live, of_others=True)
        if live:
            raise ConflictError(
                _("The vault holds a live key “%(key)s”; only a deleted one can be purged.")
                % {"key": group.azure_name},
                _("Run Cloud > Check Drift: somebody recovered or made it outside this console."),
            )
        deleted = _deleted_or_wait(gateway, group)
        record = partial(key_lifecycle.record_purged, group=group)
        settle(run, lambda: deleted is None, record)
    with run.step("purge_key"):
        if deleted is not None:
            _call(run, "purge", partial(gateway.purge_key, group.azure_name), record)
    with run.step("record"), run.write():
        # Once more, for a key that was gone already.
        record()
        run.say(_("Purged %(key)s: the vault holds nothing of it any more") % {"key": group.azure_name})
        run.say(_("Keys here were not touched and can be synchronized again"))
