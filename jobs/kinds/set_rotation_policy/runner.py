"""Replace the rotation policy of an Azure key by one that only notifies.

Announced like every change. Finding the wanted policy is success.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import RotationPolicy
from jobs.choices import IntentOperation, IntentState
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.engine.transaction import RunTransaction
from jobs.journal.intents import announce, announced, resolve, resolve_own_calls
from jobs.kinds.azure_key import open_vault
from keygroups import readings
from keygroups.models import KeyGroup
from kmes.core.errors import ConflictError, KmesError


def run_set_rotation_policy(run: JobRun) -> None:
    """Take the Rotate action out of the key's rotation policy, and record what the key has then.

    Raises:
        ConflictError: the vault has no such key.
        KmesError: the vault kept the Rotate action.

    """
    with step(run, "set_rotation_policy"):
        group, gateway = open_vault(run)
        found = gateway.get_rotation_policy(group.azure_name)
        if found is None:
            raise ConflictError(
                _("The vault has no key “%(key)s” any more.") % {"key": group.azure_name}, _("Run Cloud > Check Drift.")
            )
        is_done = resolve_own_calls(run, lambda: not found.rotates, lambda tx: _record(tx, group, found))
        if is_done:
            return
        if found.rotates:
            _replace(run, gateway, group, found)
            return
        with run.write() as tx:
            _record(tx, group, found)


def _replace(run: JobRun, gateway: VaultGateway, group: KeyGroup, found: RotationPolicy) -> None:
    with run.write() as tx:
        intent = announce(tx, IntentOperation.ROTATION_POLICY)
    with announced(run, intent):
        now_set = gateway.replace_rotation_policy(group.azure_name, readings.without_rotation(found))
    with run.write() as tx:
        resolve(tx, intent, IntentState.OK)
        _record(tx, group, now_set)
    if now_set.rotates:
        raise KmesError(
            _("The vault still has a Rotate action for “%(key)s”: %(policy)s.")
            % {"key": group.azure_name, "policy": readings.describe(now_set)},
            _("Check the key's rotation policy in the Azure portal."),
            code="rotation_policy_kept",
        )


def _record(tx: RunTransaction, group: KeyGroup, policy: RotationPolicy) -> None:
    readings.record_policy(group, policy)
    tx.add_message(
        _("Rotation policy of “%(key)s”: %(policy)s") % {"key": group.azure_name, "policy": readings.describe(policy)}
    )


RUNNER = Runner(
    run=run_set_rotation_policy,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
