"""The versions that a vault holds of a group's Azure key: its list, and what the list leaves out.

A list may be some seconds old, or come from a replica or a cache that is. So it never proves that a version is missing:
the vault's answer about that version does (docs/azure.md#keys-api). Changes nothing.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VaultKey, VersionInfo
from jobs.choices import IntentOperation
from jobs.engine.interruptions import WaitUntil
from jobs.journal.intents import UNRESOLVED_STATES
from jobs.models import Intent
from keygroups.choices import LIVE_VERSION_STATES, GroupCloudState, VersionState
from keygroups.models import KeyGroup

# Before list and answer are asked for again that contradict each other.
CONTRADICTION_SECONDS = 10


def list_all_versions(gateway: VaultGateway, group: KeyGroup) -> list[VersionInfo]:
    """Return all versions by time of creation; [] when the vault says that there is no such key.

    Versions that should be there and are not listed are asked for one by one. Where an import is in doubt, so is the
    current version, which may be what that import made.
    """
    listed = gateway.list_versions(group.azure_name)
    names = {info.version for info in listed}
    known = group.cloud_versions.filter(state__in=[*LIVE_VERSION_STATES, VersionState.MISSING])
    left_out = [name for name in known.values_list("azure_version", flat=True) if name and name not in names]
    in_doubt = Intent.objects.filter(
        azure_lock=group.azure_lock, state__in=UNRESOLVED_STATES, operation=IntentOperation.IMPORT
    )
    may_be_empty = bool(listed) or group.cloud_state == GroupCloudState.ABSENT
    if may_be_empty and not left_out and not in_doubt.exists():
        return listed
    current = gateway.get_key(group.azure_name)
    if current is None:
        return listed
    found = [gateway.get_key(group.azure_name, name) for name in left_out if name != current.version]
    more = {bundle.version: _as_listed(bundle) for bundle in [*found, current] if bundle is not None}
    rows = [*listed, *(info for name, info in more.items() if name not in names)]
    return sorted(rows, key=lambda info: info.created_on.timestamp() if info.created_on else 0.0)


def read_listed(gateway: VaultGateway, group: KeyGroup, version: str) -> VaultKey:
    """Return a version that the vault's list shows.

    Raises:
        WaitUntil: the vault says that it has no such version: list and answer are of different moments.

    """
    bundle = gateway.get_key(group.azure_name, version)
    if bundle is None:
        raise WaitUntil(
            _("the vault lists version %(version)s and answers that it has none") % {"version": version},
            seconds=CONTRADICTION_SECONDS,
            counts_as_failure=True,
        )
    return bundle


def check_list_is_whole(gateway: VaultGateway, group: KeyGroup, versions: list[VersionInfo]) -> None:
    """Check that nothing came into the vault's list since ``versions`` were read, and that the current version is in it.

    A version that is in neither may be missing from a list that lags behind, so its import must not be repeated yet.

    Raises:
        WaitUntil: the list lags behind, or has more by now.

    """
    known = {info.version for info in versions}
    listed = {info.version for info in gateway.list_versions(group.azure_name)}
    current = gateway.get_key(group.azure_name)
    if current is not None and current.version not in listed:
        what = _("the vault does not list its current version %(version)s yet, so it may hide more of them")
        raise WaitUntil(what % {"version": current.version}, seconds=CONTRADICTION_SECONDS, counts_as_failure=True)
    if listed - known:
        raise WaitUntil(_("the vault lists more versions than a moment ago"), seconds=1)


def _as_listed(bundle: VaultKey) -> VersionInfo:
    return VersionInfo(
        kid=bundle.kid,
        version=bundle.version,
        enabled=bundle.enabled,
        created_on=bundle.created_on,
        expires_on=bundle.expires_on,
        tags=bundle.tags,
        updated_on=bundle.updated_on,
        not_before=bundle.not_before,
    )
