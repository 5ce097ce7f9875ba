"""Enable or disable versions in the vault, one Azure key after the other.

Announced like every change: a request that timed out may take effect minutes later, and must not undo what
somebody requested in the meantime.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VaultKey
from jobs.choices import IntentOperation, IntentState, TargetState
from jobs.engine.approval_checks import check_action
from jobs.engine.approval_policies import DISABLE_CURRENT
from jobs.engine.begun_marks import mark_begun
from jobs.engine.cancellation import stop_if_requested
from jobs.engine.gateways import gateway_for
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.engine.transaction import RunTransaction
from jobs.journal.intents import announce, announced, resolve, resolve_own_calls
from jobs.kinds.current_versions import is_one_current
from jobs.kinds.each_group import pending_in, work_on_groups
from jobs.kinds.observations import observe_change
from jobs.kinds.push.earlier_calls import resolve_earlier_calls
from jobs.kinds.set_enabled.spec import version_ids
from jobs.kinds.vault_versions import list_all_versions
from jobs.models import JobTarget
from keygroups import lifecycle as key_lifecycle
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.errors import ConflictError
from logging_reports.choices import Severity


def run_set_enabled(run: JobRun) -> None:
    """Set the ``enabled`` attribute of each version and record what the vault answers.

    Of several versions, one that the vault lacks or refuses to change fails by itself.

    Raises:
        ConflictError: the vault has no such version, or rows name several Azure keys for one key group.

    """
    if run.job.group_id is not None:
        _switch_all(run, run.pending_targets())
        return

    def switch(group: KeyGroup) -> None:
        _switch_all(run, pending_in(run, group))

    work_on_groups(run, switch, abandon_key=RUNNER.abandon_key)


def _switch_all(run: JobRun, pending: list[JobTarget]) -> None:
    """Switch the versions of pending keys of one key group."""
    wanted = bool(run.job.params["enabled"])
    related = CloudVersion.objects.select_related("group", "vault__credential", "key")
    found = {version.key_id: version for version in related.filter(pk__in=version_ids(run.job))}
    with step(run, "enable_version" if wanted else "disable_version"):
        if not pending:
            return
        if any(target.key_id not in found for target in pending):
            raise ConflictError(_("The version no longer exists."))
        targets = [(target, found[target.key_id]) for target in pending]
        first = targets[0][1]
        # What is asked of the vault below is asked of one key: rows could hide another one behind it.
        if len({(version.vault_id, version.azure_name) for _target, version in targets}) != 1:
            raise ConflictError(
                _("The versions of one key group are of several Azure keys."),
                _("Run Cloud > Check Drift on the key group."),
            )
        gateway = gateway_for(run, first.vault)
        gateway.get_token()
        versions = list_all_versions(gateway, first.group)
        resolve_earlier_calls(run, gateway, first.group, versions, of_others=True)
        if not wanted:
            # The row that says which version is current may be old, or written by somebody.
            check_action(
                run.job,
                DISABLE_CURRENT,
                does=lambda: is_one_current(
                    gateway, first.azure_name, [version.azure_version for _target, version in targets]
                ),
                remedy=_("Run Cloud > Check Drift, which reads the version that is current, then request it again."),
            )
        for target, version in targets:
            stop_if_requested(run)
            try:
                _set(run, gateway, version, wanted=wanted)
            except (CloudError, ConflictError) as error:
                if len(found) == 1 or (isinstance(error, CloudError) and error.kind != CloudErrorKind.REFUSED_INPUT):
                    raise
                with run.write() as tx:
                    tx.record_result(target, TargetState.FAILED, str(error))
                    tx.add_message(run.spec.wording.one_failed(version.key.name, str(error)), Severity.ERROR)


def _set(run: JobRun, gateway: VaultGateway, version: CloudVersion, *, wanted: bool) -> None:
    try:
        if not _is_done(run, gateway, version, wanted=wanted):
            _switch(run, gateway, version, wanted=wanted)
    except CloudError as error:
        if error.kind != CloudErrorKind.NOT_FOUND:
            raise
        raise _missing(run, gateway, version) from error


def _is_done(run: JobRun, gateway: VaultGateway, version: CloudVersion, *, wanted: bool) -> bool:
    """Return whether an earlier call whose answer was lost did it, and record it; wait while one may still do so."""
    found: list[VaultKey] = []

    def is_done() -> bool:
        bundle = gateway.get_key(version.azure_name, version.azure_version)
        if bundle is None or bundle.enabled != wanted:
            return False
        found.append(bundle)
        return True

    return resolve_own_calls(run, is_done, lambda tx: _record(tx, version, found[-1], wanted=wanted), key=version.key)


def _switch(run: JobRun, gateway: VaultGateway, version: CloudVersion, *, wanted: bool) -> None:
    with run.write() as tx:
        intent = announce(tx, IntentOperation.SWITCH, key=version.key)
    with announced(run, intent), run.calls_about(version.key):
        bundle = gateway.update_version(version.azure_name, version.azure_version, enabled=wanted)
    with run.write() as tx:
        resolve(tx, intent, IntentState.OK, kid=bundle.kid)
        _record(tx, version, bundle, wanted=wanted)


def _missing(run: JobRun, gateway: VaultGateway, version: CloudVersion) -> ConflictError:
    if gateway.get_deleted(version.azure_name) is not None:
        return ConflictError(
            _("The Azure key “%(key)s” is deleted, with all its versions.") % {"key": version.azure_name},
            _("Recover it first (Cloud > Recover)."),
        )
    with run.write() as tx:
        key_lifecycle.record_missing(version=version)
        tx.log("azure.drift_found", f"{version.kid} is missing", key=version.key)
    return ConflictError(
        _("The vault has no version %(kid)s any more.") % {"kid": version.kid},
        _("Synchronize the key again, or run Cloud > Check Drift."),
    )


def _record(tx: RunTransaction, version: CloudVersion, bundle: VaultKey, *, wanted: bool) -> None:
    """Record what is wanted, and how the vault has the version now."""
    key_lifecycle.record_enabled(version=version, enabled=wanted)
    observe_change(version, bundle)
    mark_begun(tx.job)
    for target in tx.job.targets.filter(state=TargetState.PENDING, key=version.key_id):
        tx.record_result(target, TargetState.DONE)
    tx.add_message(
        _("Enabled version %(version)s") % {"version": version.azure_version}
        if wanted
        else _("Disabled version %(version)s") % {"version": version.azure_version}
    )


RUNNER = Runner(
    run=run_set_enabled,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
