"""Repair: set versions in the vault back to what is known here, and disable those that others made.

What was set is read again and compared: the vault may have kept something. Setting the same values twice is
harmless, so a run after a crash starts from the beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VaultKey
from jobs.choices import TargetState
from jobs.engine.approval_checks import ApprovalVoid, check_action
from jobs.engine.approval_policies import DISABLE_CURRENT
from jobs.engine.begun_marks import mark_begun
from jobs.engine.cancellation import stop_if_requested
from jobs.engine.gateways import gateway_for
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.kinds.current_versions import is_one_current
from jobs.kinds.observations import seen_of
from jobs.kinds.subjects import group_of
from jobs.models import JobTarget
from keygroups import drift
from keygroups.choices import LIVE_VERSION_STATES, Drift
from keygroups.drift import why_it_stays
from keygroups.fields import own_tags
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.errors import ConflictError, KmesError
from logging_reports.choices import Severity


def run_repair(run: JobRun) -> None:
    """Repair the versions that the job names, to what is known of them now."""
    group = group_of(run)
    with step(run, "set_back"):
        gateway = gateway_for(run, group.vault)
        gateway.get_token()
        for target in run.pending_targets():
            stop_if_requested(run)
            version = _version_of(group, target)
            _attempt(
                run,
                group,
                version.azure_version if version else "",
                target,
                partial(_set_back, run, gateway, group, version),
            )
        for name in run.job.params["strangers"]:
            stop_if_requested(run)
            _attempt(run, group, name, None, partial(_disable, run, gateway, group, name))


def _version_of(group: KeyGroup, target: JobTarget) -> CloudVersion | None:
    """Return the version the vault holds of the target's key, if it still does."""
    rows = group.cloud_versions.filter(key=target.key_id, state__in=LIVE_VERSION_STATES)
    return rows.select_related("key").first()


def _attempt(run: JobRun, group: KeyGroup, name: str, target: JobTarget | None, act: Callable[[], VaultKey]) -> None:
    """Repair one version. One that the vault refuses or lacks, or that differs still, fails by itself.

    Raises:
        ApprovalVoid: others have to approve that it is disabled.

    """
    try:
        bundle = act()
    except CloudError as error:
        if error.kind not in {CloudErrorKind.NOT_FOUND, CloudErrorKind.REFUSED_INPUT}:
            raise
        _fail(run, name, target, error)
        return
    except ApprovalVoid:
        raise
    except ConflictError as error:
        _fail(run, name, target, error)
        return
    with run.write() as tx:
        mark_begun(tx.job)
        row = drift.observe(group, _version_of(group, target) if target else None, seen_of(bundle))
        drift.recount(group)
        if target is None:
            tx.add_message(_("Disabled version %(version)s, which was not made here") % {"version": name})
            return
        if row.flags:
            what = ", ".join(str(Drift(flag).label) for flag in row.flags)
            text = _("still differs: %(what)s") % {"what": what}
            why = f"{text}. {why_it_stays(row)}".strip()
            tx.record_result(target, TargetState.FAILED, why)
            tx.add_message(run.spec.wording.one_failed(target.key.name, why), Severity.WARNING)
            return
        tx.record_result(target, TargetState.DONE, bundle.kid)
        tx.add_message(run.spec.wording.one_done(target.key.name))


def _set_back(run: JobRun, gateway: VaultGateway, group: KeyGroup, version: CloudVersion | None) -> VaultKey:
    """Set all attributes to what is wanted: the console's own tags as they were, the others as they were pushed.

    A not-before date can't be taken away, but one that had passed when the version was made restricts nothing.
    """
    if version is None:
        raise ConflictError(
            _("The vault holds no live version of this key any more."),
            _("Run Cloud > Check Drift, then synchronize it."),
        )
    if drift.is_disabling(version):
        _require_approval(run, gateway, group, version.azure_version)
    current = gateway.get_key(group.azure_name, version.azure_version)
    starts_on = version.wanted_not_before
    if starts_on is None and current is not None and seen_of(current).starts_on is not None:
        starts_on = current.created_on
    live = current.tags if current else {}
    own = version.tags if version.tags is not None else own_tags(live)
    job = {"kmes-job": live["kmes-job"]} if "kmes-job" in live else {}
    bundle = gateway.update_version(
        group.azure_name,
        version.azure_version,
        enabled=version.wanted_enabled,
        expires_on=version.wanted_expires_at,
        not_before=starts_on,
        operations=version.operations or None,
        tags={**own, **job, **drift.console_tags(version)},
    )
    return gateway.get_key(group.azure_name, version.azure_version) or bundle


def _disable(run: JobRun, gateway: VaultGateway, group: KeyGroup, name: str) -> VaultKey:
    _require_approval(run, gateway, group, name)
    return gateway.update_version(group.azure_name, name, enabled=False)


def _require_approval(run: JobRun, gateway: VaultGateway, group: KeyGroup, name: str) -> None:
    """Check the approvals for disabling a version, where the vault calls it current."""
    remedy = _("Run Cloud > Check Drift, which reads the version that is current, then request the repair again.")
    check_action(
        run.job,
        DISABLE_CURRENT,
        does=lambda: is_one_current(gateway, group.azure_name, [name]),
        remedy=remedy,
    )


def _fail(run: JobRun, name: str, target: JobTarget | None, error: KmesError) -> None:
    with run.write() as tx:
        if target is None:
            tx.add_message(_("Version %(version)s: %(error)s") % {"version": name, "error": error}, Severity.ERROR)
            return
        tx.record_result(target, TargetState.FAILED, str(error))
        tx.add_message(run.spec.wording.one_failed(target.key.name, str(error)), Severity.ERROR)


RUNNER = Runner(
    run=run_repair,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
