"""Look before acting: what the vault holds already is adopted, what may still arrive is waited for.

The first step of each push. Changes nothing in the vault but doubles, which it disables.
"""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from cloudcreds.choices import VaultTier
from cloudcreds.provider.errors import CloudError
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VaultKey, VersionInfo
from hsm.services import designated_device
from jobs.choices import IntentState, TargetState
from jobs.engine.run import JobRun, WaitUntil
from jobs.journal.intents import open_intents, resolve_all, wait_for_quarantine
from jobs.kinds.push.batches import pending_in
from jobs.kinds.push.imports import record_versions
from jobs.models import Intent, JobTarget
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import LIVE_VERSION_STATES
from keygroups.models import Key, KeyGroup
from kmes.core import language
from kmes.core.clock import now
from kmes.core.errors import ConflictError, DeviceError

# How long to wait before a doubled version is disabled again.
DOUBLE_SECONDS = 5


def look_first(run: JobRun, group: KeyGroup) -> list[JobTarget]:
    """Check the device, ask the vault what it holds, and settle what earlier runs left unresolved.

    Returns the targets that remain to be pushed, in order.

    Raises:
        DeviceError: this worker's device is not the designated one.
        ConflictError: the Azure key is deleted but recoverable.
        WaitUntil: an earlier call may still take effect.

    """
    with run.step("preflight"):
        _check_device(run)
        gateway = run.gateway(group.vault)
        gateway.get_token()
        versions = gateway.list_versions(group.azure_name)
        if not versions and gateway.get_deleted(group.azure_name) is not None:
            raise ConflictError(
                _("The Azure key “%(key)s” is deleted but recoverable, so its name can't be used.")
                % {"key": group.azure_name},
                _("Recover it (Cloud > Recover) or purge it (Cloud > Purge) first."),
            )
        vault = group.vault
        run.log(
            "azure.vault_looked_up",
            f"Vault {vault.name}: tier {language.recorded(VaultTier(vault.tier).label)}, recovery level "
            f"{vault.recovery_level or 'not known yet'}, {len(versions)} version(s) of {group.azure_name}",
        )
        settle_earlier_calls(run, gateway, group, versions)
        return _settle_found(run, group)


def _check_device(run: JobRun) -> None:
    """Refuse a device other than the designated one (KMES.md, "Push")."""
    here, chosen = run.device().identity(), designated_device()
    if here.serial != chosen.serial:
        raise DeviceError(
            _("This worker's device (%(here)s) is not the designated one (%(chosen)s).")
            % {"here": here.serial, "chosen": chosen.serial},
            _("Designate it in Administration > Configuration > HSM Protected Key Options, or start a worker there."),
            code="not_designated",
        )


def settle_earlier_calls(
    run: JobRun, gateway: VaultGateway, group: KeyGroup, versions: list[VersionInfo], *, of_others: bool = False
) -> list[Intent]:
    """Adopt what earlier runs brought into the vault; wait while a lost call may still land.

    ``of_others`` leaves this job's own calls to ``jobs.journal.intents.settle``, which knows what they were to do.

    Returns calls other than imports that other jobs left in doubt: they can't take effect any more, and a
    comparison has yet to find out whether they did (``jobs.schedule.scans.scan_leftovers``).

    Raises:
        WaitUntil: one may.

    """
    intents = [intent for intent in open_intents(run) if not of_others or intent.job_id != run.job.pk]
    known = set(group.cloud_versions.exclude(azure_version="").values_list("azure_version", flat=True))
    strangers = [version for version in versions if version.version not in known]
    found = [(key, _find_ours(gateway, group, strangers, key)) for key in _keys_to_find(run, group, intents)]
    # In the order in which they came into the vault: the last one is its current version.
    for key, bundles in sorted((each for each in found if each[1]), key=_came_at):
        _adopt(run, gateway, group, key, bundles, intents)
    still_open = [intent for intent in intents if intent.state in {IntentState.PENDING, IntentState.UNKNOWN}]
    wait_for_quarantine(still_open)
    imports = [intent for intent in still_open if intent.operation == "import"]
    if imports:
        with run.write():
            resolve_all([(intent, "") for intent in imports], IntentState.VOID)
    return [intent for intent in still_open if intent not in imports]


def _settle_found(run: JobRun, group: KeyGroup) -> list[JobTarget]:
    """Settle targets whose key is in the vault: another job on the Azure key may have found and recorded it.

    Returns the others.
    """
    pending = pending_in(run, group)
    live = group.cloud_versions.filter(key__in=[target.key_id for target in pending], state__in=LIVE_VERSION_STATES)
    kids = dict(live.values_list("key_id", "kid"))
    found = [(target, kids[target.key_id]) for target in pending if target.key_id in kids]
    if not found:
        return pending
    with run.write():
        run.settle_all(found, TargetState.DONE)
        run.say_all(
            [
                _("HSM protected key %(key)s is in the vault already") % {"key": target.key.name}
                for target, _kid in found
            ]
        )
    return [target for target in pending if target.key_id not in kids]


def _keys_to_find(run: JobRun, group: KeyGroup, intents: list[Intent]) -> list[Key]:
    """Return the keys that may be in the vault without a record here, this job's in the order of their import."""
    keys: dict[object, Key | None] = {target.key_id: target.key for target in pending_in(run, group)}
    keys.update({intent.key_id: intent.key for intent in intents})
    return [key for key in keys.values() if key is not None]


def _came_at(found: tuple[Key, list[VaultKey]]) -> datetime:
    return found[1][-1].created_on or now()


def _find_ours(gateway: VaultGateway, group: KeyGroup, strangers: list[VersionInfo], key: Key) -> list[VaultKey]:
    """Return the unrecorded versions that hold this key, oldest first; the public key decides."""
    found = []
    for version in strangers:
        tag = version.tags.get("kmes-key", "")
        if tag and tag != str(key.pk):
            continue
        bundle = gateway.get_key(group.azure_name, version.version)
        if bundle is not None and bundle.public_spki == bytes(key.public_spki):
            found.append(bundle)
    return found


def _disable_double(gateway: VaultGateway, group: KeyGroup, double: VaultKey) -> None:
    """Disable an older double. Nobody ever enables it again, so its outcome may be found by doing it again."""
    try:
        gateway.update_version(group.azure_name, double.version, enabled=False)
    except CloudError as error:
        if error.effect_unknown:
            raise WaitUntil(error.what, seconds=DOUBLE_SECONDS, counts_as_failure=True) from error
        raise


def _adopt(
    run: JobRun, gateway: VaultGateway, group: KeyGroup, key: Key, found: list[VaultKey], intents: list[Intent]
) -> None:
    """Record a version the vault got from an earlier run; disable older doubles of it."""
    *doubles, newest = found
    recorded = key.cloud_versions.filter(state__in=LIVE_VERSION_STATES).first()
    if recorded is not None:
        known = gateway.get_key(group.azure_name, recorded.azure_version)
        if known is not None:
            doubles = [known, *doubles]
    for double in doubles:
        _disable_double(gateway, group, double)
    mine = [intent for intent in intents if intent.key_id == key.pk and intent.operation == "import"]
    with run.write():
        for double in doubles:
            run.log(
                "azure.duplicate_version",
                f"{double.kid} holds key {key.name} a second time; it was disabled",
                key=key,
                version=double.version,
            )
        resolve_all([(intent, newest.kid) for intent in mine], IntentState.ADOPTED)
        if recorded is not None:
            key_lifecycle.replace_double(
                key_lifecycle.Pushed(recorded, newest.version, newest.kid, now(), newest.enabled, newest.expires_on)
            )
        else:
            record_versions(run, [(key, newest)])
        run.settle_all(
            [(target, newest.kid) for target in run.pending_targets() if target.key_id == key.pk], TargetState.DONE
        )
        run.say(_("Found HSM protected key %(key)s in the vault already") % {"key": key.name})
