"""Enable or disable one version in the vault. Setting the same value twice is harmless."""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.azure.errors import AzureError, AzureErrorKind
from jobs.choices import TargetState
from jobs.context import JobRun
from keygroups import lifecycle as key_lifecycle
from keygroups.models import CloudVersion
from kmes.core.errors import ConflictError


def run_set_enabled(run: JobRun) -> None:
    """Set the version's ``enabled`` attribute and record what the vault answers."""
    wanted = bool(run.job.params["enabled"])
    version = CloudVersion.objects.select_related("group", "vault__credential", "key").get(
        pk=run.job.params["version_id"]
    )
    with run.step("enable_version" if wanted else "disable_version"):
        gateway = run.gateway(version.vault)
        gateway.get_token()
        try:
            bundle = gateway.update_version(version.azure_name, version.azure_version, enabled=wanted)
        except AzureError as error:
            if error.kind != AzureErrorKind.NOT_FOUND:
                raise
            with run.write():
                key_lifecycle.record_missing(version=version)
                run.log("azure.drift_found", _("%(kid)s is missing") % {"kid": version.kid}, key=version.key)
            raise ConflictError(
                _("The vault has no version %(kid)s any more.") % {"kid": version.kid},
                _("Synchronize the key again, or run Cloud > Check Drift."),
            ) from error
        with run.write():
            if version.enabled != bundle.enabled or (version.state == "disabled") == bundle.enabled:
                key_lifecycle.record_enabled(version=version, enabled=bundle.enabled)
            for target in run.pending_targets():
                run.settle(target, TargetState.DONE)
            run.say(
                _("Enabled version %(version)s") % {"version": version.azure_version}
                if wanted
                else _("Disabled version %(version)s") % {"version": version.azure_version}
            )
