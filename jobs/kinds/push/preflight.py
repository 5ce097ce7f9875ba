"""The first step of each push: checks the device and the vault, and leaves out the keys that are there already."""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.choices import VaultTier
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VersionInfo
from hsm.services import designated_device
from jobs.choices import TargetState
from jobs.engine.approval_checks import check_action
from jobs.engine.approval_policies import DISABLE_CURRENT
from jobs.engine.gateways import gateway_for
from jobs.engine.run import JobRun
from jobs.engine.steps import step
from jobs.kinds.azure_key import find_deleted
from jobs.kinds.each_group import pending_in
from jobs.kinds.push.deleted_keys import record_fate
from jobs.kinds.push.earlier_calls import resolve_earlier_calls
from jobs.kinds.push.name_check import deleted_name, refuse_taken_name
from jobs.kinds.push.vault_rules import refuse_denied
from jobs.kinds.vault_versions import list_all_versions
from jobs.models import JobTarget
from jobs.planning.requests import refuse_standard_vault, remedy_of_disabled_push
from keygroups.choices import LIVE_VERSION_STATES
from keygroups.models import KeyGroup
from kmes.core import language
from kmes.core.errors import DeviceError


def check_vault(run: JobRun, group: KeyGroup) -> list[JobTarget]:
    """Check the device, ask the vault what it holds, and resolve what earlier runs left in doubt.

    Returns the targets that remain to be pushed, in order.

    Raises:
        DeviceError: this worker's device is not the designated one.
        ConflictError: the vault holds no HSM keys, a policy of it denies the keys, or the Azure key is deleted but
            recoverable, or somebody else's.
        ApprovalVoid: what is pushed arrives disabled, and others have to approve that the current version is.
        WaitUntil: an earlier call may still take effect, or the vault is still deleting the Azure key.

    """
    with step(run, "preflight"):
        _check_device(run)
        refuse_standard_vault(group)
        gateway = gateway_for(run, group.vault)
        gateway.get_token()
        versions = list_all_versions(gateway, group)
        if not versions and (deleted := find_deleted(gateway, group)) is not None:
            raise deleted_name(group, deleted)
        vault = group.vault
        run.log_deferred(
            "azure.vault_looked_up",
            f"Vault {vault.name}: tier {language.recorded(VaultTier(vault.tier).label)}, recovery level "
            f"{vault.recovery_level or 'not known yet'}, {len(versions)} version(s) of {group.azure_name}",
        )
        resolve_earlier_calls(run, gateway, group, versions)
        if not versions:
            # Not before: a lost call may still recover the key.
            record_fate(run, gateway, group, versions)
        refuse_taken_name(run, gateway, group, versions)
        pending = _record_found(run, group)
        if pending:
            refuse_denied(run, group)
        if pending and not group.enabled_on_push:
            # What is pushed arrives disabled, and replaces what is used now.
            check_action(
                run.job,
                DISABLE_CURRENT,
                does=lambda: _is_used(gateway, group, versions),
                remedy=remedy_of_disabled_push(),
            )
        return pending


def _is_used(gateway: VaultGateway, group: KeyGroup, versions: list[VersionInfo]) -> bool:
    """Return whether the current version of the group's Azure key is enabled, or one that the vault lists as a later one.

    What the vault calls current may be some seconds old; the answer True only asks for an approval.
    """
    current = gateway.get_key(group.azure_name)
    if current is None:
        return any(version.enabled for version in versions)
    since = current.created_on
    later = [each for each in versions if since is None or each.created_on is None or each.created_on > since]
    return current.enabled or any(version.enabled for version in later)


def _check_device(run: JobRun) -> None:
    """Refuse a device other than the designated one: only that one may push keys."""
    here, chosen = run.device().identity(), designated_device()
    if here.serial != chosen.serial:
        raise DeviceError(
            _("This worker's device (%(here)s) is not the designated one (%(chosen)s).")
            % {"here": here.serial, "chosen": chosen.serial},
            _("Designate it in Administration > Configuration > HSM Protected Key Options, or start a worker there."),
            code="not_designated",
        )


def _record_found(run: JobRun, group: KeyGroup) -> list[JobTarget]:
    """Record the targets whose key is in the vault: another job on the Azure key may have found it. Return the others."""
    pending = pending_in(run, group)
    live = group.cloud_versions.filter(key__in=[target.key_id for target in pending], state__in=LIVE_VERSION_STATES)
    kids = dict(live.values_list("key_id", "kid"))
    found = [(target, kids[target.key_id]) for target in pending if target.key_id in kids]
    if not found:
        return pending
    with run.write() as tx:
        tx.record_results(found, TargetState.DONE)
        tx.add_messages(
            [
                _("HSM protected key %(key)s is in the vault already") % {"key": target.key.name}
                for target, _kid in found
            ]
        )
    return [target for target in pending if target.key_id not in kids]
