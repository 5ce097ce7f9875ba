"""Resolves the calls that earlier runs left in doubt: finds their versions in the vault, or waits while one may come.

Changes nothing in the vault except that it disables doubles.
"""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VaultKey, VersionInfo
from jobs.choices import IntentOperation, IntentState, TargetState
from jobs.engine.interruptions import WaitUntil
from jobs.engine.run import JobRun
from jobs.journal.intents import UNRESOLVED_STATES, resolve_all, unresolved_intents, wait_for_quarantine
from jobs.kinds.each_group import pending_in
from jobs.kinds.observations import observe_change
from jobs.kinds.push.deleted_keys import record_fate
from jobs.kinds.push.imports import record_versions
from jobs.kinds.vault_versions import check_list_is_whole, read_listed
from jobs.models import Intent
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import LIVE_VERSION_STATES, VersionState
from keygroups.models import Key, KeyGroup
from keygroups.version_moves import Pushed
from kmes.core.clock import now

# How long to wait before a doubled version is disabled again.
DOUBLE_SECONDS = 5


def resolve_earlier_calls(
    run: JobRun, gateway: VaultGateway, group: KeyGroup, versions: list[VersionInfo], *, of_others: bool = False
) -> list[Intent]:
    """Adopt the versions that earlier runs brought into the vault; wait while a lost call may still take effect.

    A key that is live although it counts as deleted here is recorded as recovered, or as purged and made anew.
    ``of_others`` leaves out this job's own calls, which ``journal.intents.resolve_own_calls`` resolves.

    Returns calls other than imports that other jobs left in doubt. They can't take effect any more, and a
    comparison has yet to find out whether they did (``jobs.schedule.scans.scan_leftovers``).

    Raises:
        WaitUntil: a lost call may still take effect, or the vault contradicts its own list, or the list lags behind.

    """
    if versions:
        record_fate(run, gateway, group, versions)
    intents = [intent for intent in unresolved_intents(run) if not of_others or intent.job_id != run.job.pk]
    # A version that is called missing here may be there all the same.
    recorded = group.cloud_versions.exclude(azure_version="").exclude(state=VersionState.MISSING)
    known = set(recorded.values_list("azure_version", flat=True))
    strangers = [version for version in versions if version.version not in known]
    sought = _keys_to_find(run, group, intents) if strangers else []
    found = [(key, _find_ours(gateway, group, strangers, key)) for key in sought]
    # In the order in which they came into the vault: the last one is its current version.
    for key, bundles in sorted((each for each in found if each[1]), key=_arrived_at):
        _adopt(run, gateway, group, key, bundles, intents)
    unresolved = [intent for intent in intents if intent.state in UNRESOLVED_STATES]
    wait_for_quarantine(unresolved)
    imports = [intent for intent in unresolved if intent.operation == IntentOperation.IMPORT]
    if imports:
        check_list_is_whole(gateway, group, versions)
        with run.write() as tx:
            resolve_all(tx, [(intent, "") for intent in imports], IntentState.VOID)
    return [intent for intent in unresolved if intent not in imports]


def _keys_to_find(run: JobRun, group: KeyGroup, intents: list[Intent]) -> list[Key]:
    """Return the keys that may be in the vault without a record here, this job's in the order of their import."""
    keys: dict[object, Key | None] = {target.key_id: target.key for target in pending_in(run, group)}
    keys.update({intent.key_id: intent.key for intent in intents})
    return [key for key in keys.values() if key is not None]


def _arrived_at(found: tuple[Key, list[VaultKey]]) -> datetime:
    return found[1][-1].created_on or now()


def _find_ours(gateway: VaultGateway, group: KeyGroup, strangers: list[VersionInfo], key: Key) -> list[VaultKey]:
    """Return the unrecorded versions that hold this key, oldest first; the public key decides."""
    found = []
    for version in strangers:
        tag = version.tags.get("kmes-key", "")
        if tag and tag != str(key.pk):
            continue
        bundle = read_listed(gateway, group, version.version)
        if bundle.public_spki == bytes(key.public_spki):
            found.append(bundle)
    return found


def _disable_double(gateway: VaultGateway, group: KeyGroup, double: VaultKey) -> None:
    """Disable an older double. Nothing ever enables it again, so a lost answer is resolved by doing it again."""
    try:
        gateway.update_version(group.azure_name, double.version, enabled=False)
    except CloudError as error:
        if error.effect_unknown:
            raise WaitUntil(error.what, seconds=DOUBLE_SECONDS, counts_as_failure=True) from error
        raise


def _is_older_double(known: VaultKey, newest: VaultKey, key: Key) -> bool:
    """Return whether what the vault shows for a recorded version is an older one with the same key, whatever the row says.

    A row could lead to the version in use, which nobody may disable alone.
    """
    holds_it = known.public_spki == bytes(key.public_spki)
    is_other = known.version.lower() != newest.version.lower()
    is_older = known.created_on is None or newest.created_on is None or known.created_on <= newest.created_on
    return holds_it and is_other and is_older


def _adopt(
    run: JobRun, gateway: VaultGateway, group: KeyGroup, key: Key, found: list[VaultKey], intents: list[Intent]
) -> None:
    """Record a version that an earlier run brought into the vault; disable older doubles of it."""
    *doubles, newest = found
    recorded = key.cloud_versions.filter(state__in=LIVE_VERSION_STATES).first()
    missing = key.cloud_versions.filter(state=VersionState.MISSING, azure_version=newest.version)
    missed = missing.select_related("group", "key").first()
    if recorded is not None:
        known = gateway.get_key(group.azure_name, recorded.azure_version)
        if known is not None and _is_older_double(known, newest, key):
            doubles = [known, *doubles]
    for double in doubles:
        _disable_double(gateway, group, double)
    imports = [intent for intent in intents if intent.key_id == key.pk and intent.operation == IntentOperation.IMPORT]
    with run.write() as tx:
        for double in doubles:
            tx.log(
                "azure.duplicate_version",
                f"{double.kid} holds key {key.name} a second time; it was disabled",
                key=key,
                version=double.version,
            )
        resolve_all(tx, [(intent, newest.kid) for intent in imports], IntentState.ADOPTED)
        if recorded is not None:
            key_lifecycle.replace_double(
                Pushed(recorded, newest.version, newest.kid, now(), newest.enabled, newest.expires_on)
            )
        elif missed is not None:
            # Its row comes back; the push that was to bring it again is over.
            key_lifecycle.fail_push(key=key)
            observe_change(missed, newest)
        else:
            record_versions(tx, [(key, newest)])
        tx.record_results(
            [(target, newest.kid) for target in run.pending_targets() if target.key_id == key.pk], TargetState.DONE
        )
        tx.add_message(_("Found HSM protected key %(key)s in the vault already") % {"key": key.name})
