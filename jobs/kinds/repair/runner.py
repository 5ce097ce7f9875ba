"""Repair: set versions in the vault back to what is known here; disable those that others made.

Setting the same values twice is harmless, so a run after a crash begins anew.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VaultKey
from jobs.choices import TargetState
from jobs.engine.run import JobRun
from jobs.kinds.check_drift.runner import seen_of
from jobs.models import JobTarget
from keygroups import drift
from keygroups.choices import LIVE_VERSION_STATES
from keygroups.fields import own_tags
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.errors import ConflictError, KmesError
from logging_reports.choices import Severity


def run_repair(run: JobRun) -> None:
    """Work through the versions the job was asked about, as they are known now."""
    if run.job.group_id is None:
        raise ConflictError(_("The key group no longer exists."))
    group = KeyGroup.objects.select_related("vault__credential").get(pk=run.job.group_id)
    with run.step("set_back"):
        gateway = run.gateway(group.vault)
        gateway.get_token()
        for target in run.pending_targets():
            run.checkpoint()
            version = _version_of(group, target)
            _attempt(
                run,
                group,
                version.azure_version if version else "",
                target,
                partial(_set_back, gateway, group, version),
            )
        for name in run.job.params["strangers"]:
            run.checkpoint()
            _attempt(run, group, name, None, partial(_disable, gateway, group, name))


def _version_of(group: KeyGroup, target: JobTarget) -> CloudVersion | None:
    """Return the version the vault holds of the target's key, if it still does."""
    rows = group.cloud_versions.filter(key=target.key_id, state__in=LIVE_VERSION_STATES)
    return rows.select_related("key").first()


def _attempt(run: JobRun, group: KeyGroup, name: str, target: JobTarget | None, act: Callable[[], VaultKey]) -> None:
    """Set one version back; one that the vault refuses or lacks fails alone."""
    try:
        bundle = act()
    except CloudError as error:
        if error.kind not in {CloudErrorKind.NOT_FOUND, CloudErrorKind.REFUSED_INPUT}:
            raise
        _fail(run, name, target, error)
        return
    except ConflictError as error:
        _fail(run, name, target, error)
        return
    with run.write():
        drift.observe(group, _version_of(group, target) if target else None, seen_of(bundle))
        drift.recount(group)
        if target is None:
            run.say(_("Disabled version %(version)s, which was not made here") % {"version": name})
            return
        run.settle(target, TargetState.DONE, bundle.kid)
        run.say(run.spec.wording.one_done(target.key.name))


def _set_back(gateway: VaultGateway, group: KeyGroup, version: CloudVersion | None) -> VaultKey:
    """Set all that is known; the console's tags as they were, those of people as they were pushed."""
    if version is None:
        raise ConflictError(
            _("The vault holds no live version of this key any more."),
            _("Run Cloud > Check Drift, then synchronize it."),
        )
    current = gateway.get_key(group.azure_name, version.azure_version)
    live = current.tags if current else {}
    own = version.tags if version.tags is not None else own_tags(live)
    job = {"kmes-job": live["kmes-job"]} if "kmes-job" in live else {}
    return gateway.update_version(
        group.azure_name,
        version.azure_version,
        enabled=version.enabled,
        expires_on=version.expires_at,
        operations=version.operations or None,
        tags={**own, **job, **drift.console_tags(version)},
    )


def _disable(gateway: VaultGateway, group: KeyGroup, name: str) -> VaultKey:
    return gateway.update_version(group.azure_name, name, enabled=False)


def _fail(run: JobRun, name: str, target: JobTarget | None, error: KmesError) -> None:
    with run.write():
        if target is None:
            run.say(_("Version %(version)s: %(error)s") % {"version": name, "error": error}, Severity.ERROR)
            return
        run.settle(target, TargetState.FAILED, str(error))
        run.say(run.spec.wording.one_failed(target.key.name, str(error)), Severity.ERROR)
