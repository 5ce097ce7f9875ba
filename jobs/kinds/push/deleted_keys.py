"""Records what became of an Azure key that was deleted when it was last seen: it was recovered, or purged.

Azure keeps no live key and no deleted one under the same name. While the versions of a key that is gone count as
deleted here, they bar the record of what the vault holds now.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VaultKey, VersionInfo
from jobs.choices import IntentOperation
from jobs.engine.run import JobRun
from jobs.engine.transaction import RunTransaction
from jobs.journal.intents import unresolved_intents
from jobs.kinds.observations import observe_change
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import LIVE_VERSION_STATES, STORED_VERSION_STATES, GroupCloudState, VersionState
from keygroups.models import KeyGroup
from logging_reports.choices import Severity


def record_fate(run: JobRun, gateway: VaultGateway, group: KeyGroup, versions: Sequence[VersionInfo]) -> None:
    """Record the recovery or the purge of a key that counts as deleted here, and say whose it was.

    ``versions`` are those of the live key. Without any, the caller has read that there is no deleted key either.
    """
    group.refresh_from_db(fields=["cloud_state"])
    if group.cloud_state != GroupCloudState.SOFT_DELETED:
        return
    deleted = group.cloud_versions.filter(state=VersionState.SOFT_DELETED)
    is_purged = not versions or (
        deleted.exists() and not deleted.filter(azure_version__in=[each.version for each in versions]).exists()
    )
    operation = IntentOperation.PURGE if is_purged else IntentOperation.RECOVER
    is_ours = any(intent.operation == operation for intent in unresolved_intents(run))
    switched = [] if is_purged else find_switched(gateway, group, versions)
    with run.write() as tx:
        if is_purged:
            key_lifecycle.record_purged(group=group)
        if versions:
            key_lifecycle.record_recovered(group=group)
        text = _fate_by_us(is_purged=is_purged) if is_ours else _fate_by_others(is_purged=is_purged)
        tx.add_message(text, Severity.INFO if is_ours else Severity.WARNING)
        if not is_ours:
            tx.log("azure.drift_found", text)
        record_switched(tx, group, switched)
    group.refresh_from_db(fields=["cloud_state", "current_version"])


def find_switched(gateway: VaultGateway, group: KeyGroup, versions: Sequence[VersionInfo]) -> list[VaultKey]:
    """Return the versions of a recovered key that the vault does not have enabled, or disabled, as recorded here.

    A call whose answer was lost may have switched a version just before the key was deleted; nobody could look then.
    """
    recorded = dict(
        group.cloud_versions.filter(state__in=STORED_VERSION_STATES).values_list("azure_version", "enabled")
    )
    switched = [each for each in versions if recorded.get(each.version, each.enabled) != each.enabled]
    read = [gateway.get_key(group.azure_name, each.version) for each in switched]
    return [bundle for bundle in read if bundle is not None]


def record_switched(tx: RunTransaction, group: KeyGroup, switched: Sequence[VaultKey]) -> None:
    """Record how the vault has these versions of a recovered key; what is wanted here stays, as a difference."""
    versions = group.cloud_versions.filter(state__in=LIVE_VERSION_STATES).select_related("group", "key")
    for bundle in switched:
        version = versions.filter(azure_version=bundle.version).first()
        if version is None:
            continue
        observe_change(version, bundle)
        text = (
            _("The vault has version %(version)s enabled, which was disabled before the key was deleted")
            if bundle.enabled
            else _("The vault has version %(version)s disabled, which was enabled before the key was deleted")
        ) % {"version": bundle.version}
        tx.add_message(text, Severity.WARNING)
        tx.log("azure.drift_found", text, key=version.key, version=bundle.version)


def _fate_by_us(*, is_purged: bool) -> str:
    if is_purged:
        return _("The Azure key was purged by an earlier call whose answer was lost")
    return _("The Azure key was recovered by an earlier call whose answer was lost")


def _fate_by_others(*, is_purged: bool) -> str:
    if is_purged:
        return _("The Azure key was purged outside this console")
    return _("The Azure key was recovered outside this console")
