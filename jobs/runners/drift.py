"""Check drift: compare what is known here with what the vault holds; change nothing in the vault."""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.azure.types import VersionInfo
from jobs.context import JobRun
from jobs.reports import UNMANAGED
from keygroups import lifecycle as key_lifecycle
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from logging_reports.choices import Severity


def run_check_drift(run: JobRun) -> None:
    """List the vault's versions, report each difference, and record missing or switched versions."""
    if run.job.group_id is None:
        raise ConflictError(_("The key group no longer exists."))
    group = KeyGroup.objects.select_related("vault__credential").get(pk=run.job.group_id)
    with run.step("compare"):
        gateway = run.gateway(group.vault)
        gateway.get_token()
        live = {version.version: version for version in gateway.list_versions(group.azure_name)}
        deleted = None if live else gateway.get_deleted(group.azure_name)
        if deleted is not None and group.cloud_state == "live":
            with run.write():
                key_lifecycle.record_deleted(
                    group=group,
                    deleted_at=deleted.deleted_on or now(),
                    scheduled_purge_at=deleted.scheduled_purge_on,
                )
                _report(run, _("The Azure key was deleted outside this console"))
                key_lifecycle.record_compared(group=group, differences=1)
            return
        found = _compare(run, group, live)
        with run.write():
            key_lifecycle.record_compared(group=group, differences=found)
            if not found:
                run.say(_("No drift: the vault holds what this console knows of"))


def _compare(run: JobRun, group: KeyGroup, live: dict[str, VersionInfo]) -> int:
    """Report and record the differences. Return how many there are."""
    known = {
        version.azure_version: version
        for version in group.cloud_versions.filter(state__in=key_lifecycle.LIVE_STATES).select_related("key")
    }
    count = 0
    with run.write():
        for name in sorted(known.keys() - live.keys()):
            key_lifecycle.record_missing(version=known[name])
            _report(run, _("Version %(version)s is missing in the vault") % {"version": name}, known[name])
            count += 1
        for name in sorted(live.keys() - known.keys()):
            _report(
                run,
                _("The vault holds version %(version)s that was not made here") % {"version": name},
                finding=UNMANAGED,
                azure_version=name,
            )
            count += 1
        for name in sorted(known.keys() & live.keys()):
            if known[name].enabled != live[name].enabled:
                state = _("enabled") if live[name].enabled else _("disabled")
                _report(
                    run,
                    _("Version %(version)s was %(state)s outside this console") % {"version": name, "state": state},
                    known[name],
                )
                key_lifecycle.record_enabled(version=known[name], enabled=live[name].enabled)
                count += 1
    return count


def _report(
    run: JobRun, text: str, version: CloudVersion | None = None, *, finding: str = "", azure_version: str = ""
) -> None:
    """Say and log one difference; ``finding`` names its kind for reports."""
    run.say(text, Severity.WARNING)
    run.log(
        "azure.drift_found",
        text,
        key=version.key if version else None,
        version=azure_version,
        data={"finding": finding} if finding else None,
    )
