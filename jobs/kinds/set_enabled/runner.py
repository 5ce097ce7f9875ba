"""Enable or disable one version in the vault.

Announced like every change: a request that was given up as timed out may land minutes later, and
must not undo what somebody asked for in the meantime.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.protocol import VaultGateway
from jobs.choices import IntentState, TargetState
from jobs.engine.run import JobRun
from jobs.journal.intents import announce, announced, resolve, settle
from jobs.kinds.push.preflight import settle_earlier_calls
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import VersionState
from keygroups.models import CloudVersion
from kmes.core.errors import ConflictError


def run_set_enabled(run: JobRun) -> None:
    """Set the version's ``enabled`` attribute and record what the vault answers.

    Raises:
        ConflictError: the vault has no such version.

    """
    wanted = bool(run.job.params["enabled"])
    version = CloudVersion.objects.select_related("group", "vault__credential", "key").get(
        pk=run.job.params["version_id"]
    )
    with run.step("enable_version" if wanted else "disable_version"):
        gateway = run.gateway(version.vault)
        gateway.get_token()
        versions = gateway.list_versions(version.azure_name)
        settle_earlier_calls(run, gateway, version.group, versions, of_others=True)
        try:
            if not _is_done(run, gateway, version, wanted=wanted):
                _switch(run, gateway, version, wanted=wanted)
        except CloudError as error:
            if error.kind != CloudErrorKind.NOT_FOUND:
                raise
            raise _missing(run, gateway, version) from error


def _is_done(run: JobRun, gateway: VaultGateway, version: CloudVersion, *, wanted: bool) -> bool:
    """Return whether an earlier call, whose answer got lost, did it, and record it; wait while one may still land."""

    def is_done() -> bool:
        bundle = gateway.get_key(version.azure_name, version.azure_version)
        return bundle is not None and bundle.enabled == wanted

    return settle(run, is_done, lambda: _record(run, version, enabled=wanted, wanted=wanted))


def _switch(run: JobRun, gateway: VaultGateway, version: CloudVersion, *, wanted: bool) -> None:
    with run.write():
        intent = announce(run, "update", key=version.key)
    with announced(run, intent):
        bundle = gateway.update_version(version.azure_name, version.azure_version, enabled=wanted)
    with run.write():
        resolve(intent, IntentState.OK, kid=bundle.kid)
        _record(run, version, enabled=bundle.enabled, wanted=wanted)


def _missing(run: JobRun, gateway: VaultGateway, version: CloudVersion) -> ConflictError:
    if gateway.get_deleted(version.azure_name) is not None:
        return ConflictError(
            _("The Azure key “%(key)s” is deleted, with all its versions.") % {"key": version.azure_name},
            _("Recover it first (Cloud > Recover)."),
        )
    with run.write():
        key_lifecycle.record_missing(version=version)
        run.log("azure.drift_found", f"{version.kid} is missing", key=version.key)
    return ConflictError(
        _("The vault has no version %(kid)s any more.") % {"kid": version.kid},
        _("Synchronize the key again, or run Cloud > Check Drift."),
    )


def _record(run: JobRun, version: CloudVersion, *, enabled: bool, wanted: bool) -> None:
    """Write down how the vault has the version now. Called inside ``run.write()``."""
    if version.enabled != enabled or (version.state == VersionState.DISABLED) == enabled:
        key_lifecycle.record_enabled(version=version, enabled=enabled)
    for target in run.pending_targets():
        run.settle(target, TargetState.DONE)
    run.say(
        _("Enabled version %(version)s") % {"version": version.azure_version}
        if wanted
        else _("Disabled version %(version)s") % {"version": version.azure_version}
    )
