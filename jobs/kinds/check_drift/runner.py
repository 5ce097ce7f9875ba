"""Check drift: compare what is known here with what the vault holds; change nothing in the vault.

What is missing, deleted or back in the vault is recorded as a fact, because jobs rest on it. How a
version differs in its attributes is kept beside what is known (``keygroups.drift``) until somebody
sets it back or accepts it.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils.translation import gettext as _

from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VaultKey, VersionInfo
from jobs.choices import IntentState
from jobs.engine.run import JobRun
from jobs.journal.intents import resolve_all
from jobs.kinds.check_drift.spec import UNMANAGED
from jobs.kinds.push.preflight import settle_earlier_calls
from jobs.models import Intent
from keygroups import drift
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import ENDED_VERSION_STATES, LIVE_VERSION_STATES, Drift, GroupCloudState, VersionState
from keygroups.drift import Seen
from keygroups.models import CloudVersion, KeyGroup, Observation
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from logging_reports.choices import Severity

# Azure's times have whole seconds: a version changed so shortly before it was read is read again.
SAME_MOMENT = timedelta(seconds=2)


def run_check_drift(run: JobRun) -> None:
    """List the vault's versions, keep what differs, and record missing ones."""
    if run.job.group_id is None:
        raise ConflictError(_("The key group no longer exists."))
    group = KeyGroup.objects.select_related("vault__credential").get(pk=run.job.group_id)
    count = group.cloud_versions.filter(state__in=LIVE_VERSION_STATES).count()
    with run.step("compare"):
        if not run.job.messages.exists():
            with run.write():
                run.say(run.spec.wording.start(count))
        gateway = run.gateway(group.vault)
        gateway.get_token()
        live = gateway.list_versions(group.azure_name)
        in_doubt = settle_earlier_calls(run, gateway, group, live)
        group.refresh_from_db(fields=["cloud_state"])
        _settle_switches(run, live, in_doubt)
        if not live and _is_deleted(run, gateway, group):
            _close(run, in_doubt)
            return
        if live and group.cloud_state == GroupCloudState.SOFT_DELETED:
            with run.write():
                key_lifecycle.record_recovered(group=group)
                _report(run, _("The Azure key was recovered outside this console"))
        seen = _look(run, gateway, group, live)
        found = _compare(run, group, seen)
        with run.write():
            if not found:
                run.say(_("No drift: the vault holds what this console knows of"))
            run.say(run.spec.wording.all_done(count))
        _close(run, in_doubt)


def _settle_switches(run: JobRun, live: list[VersionInfo], in_doubt: list[Intent]) -> None:
    """Record what became of our own calls to enable or disable whose answer was lost."""
    there = {info.version: info for info in live}
    for intent in in_doubt:
        if intent.operation != "update" or intent.key is None:
            continue
        version = intent.key.cloud_versions.filter(state__in=LIVE_VERSION_STATES).first()
        info = there.get(version.azure_version) if version else None
        if version is not None and info is not None and info.enabled != version.enabled:
            with run.write():
                key_lifecycle.record_enabled(version=version, enabled=info.enabled)


def _close(run: JobRun, in_doubt: list[Intent]) -> None:
    """Close calls in doubt: whatever became of them is recorded now."""
    if in_doubt:
        with run.write():
            resolve_all([(intent, "") for intent in in_doubt], IntentState.VOID)


def _is_deleted(run: JobRun, gateway: VaultGateway, group: KeyGroup) -> bool:
    """Record a whole key that somebody deleted outside this console. Return whether it was so."""
    deleted = gateway.get_deleted(group.azure_name)
    if deleted is None and group.cloud_state == GroupCloudState.SOFT_DELETED:
        with run.write():
            key_lifecycle.record_purged(group=group)
            _report(run, _("The Azure key was purged outside this console"))
    if deleted is None or group.cloud_state != GroupCloudState.LIVE:
        return False
    with run.write():
        key_lifecycle.record_deleted(
            group=group, deleted_at=deleted.deleted_on or now(), scheduled_purge_at=deleted.scheduled_purge_on
        )
        drift.forget_others(group, ())
        _report(run, _("The Azure key was deleted outside this console"))
        key_lifecycle.record_compared(group=group, differences=1)
    return True


def _look(run: JobRun, gateway: VaultGateway, group: KeyGroup, live: list[VersionInfo]) -> list[Seen]:
    """Return each version with its operations, which a listing lacks; unchanged ones are not read again."""
    before = {row.azure_version: row for row in group.observations.all()}
    seen = []
    for info in live:
        known = before.get(info.version)
        if known is not None and _is_unchanged(known, info):
            seen.append(_from_listing(info, known.operations))
            continue
        run.checkpoint()
        bundle = gateway.get_key(group.azure_name, info.version)
        if bundle is not None:
            seen.append(seen_of(bundle))
    return seen


def _is_unchanged(known: Observation, info: VersionInfo) -> bool:
    if not known.is_present or info.updated_on is None or known.updated_on != info.updated_on:
        return False
    # Other material is told by reading only.
    return known.seen_at - info.updated_on > SAME_MOMENT and Drift.MATERIAL not in known.flags


def _from_listing(info: VersionInfo, operations: list[str]) -> Seen:
    return Seen(
        azure_version=info.version,
        kid=info.kid,
        enabled=info.enabled,
        created_on=info.created_on,
        updated_on=info.updated_on,
        expires_on=info.expires_on,
        operations=operations,
        tags=info.tags,
    )


def seen_of(bundle: VaultKey) -> Seen:
    """Return what a key read from the vault shows."""
    return Seen(
        azure_version=bundle.version,
        kid=bundle.kid,
        enabled=bundle.enabled,
        created_on=bundle.created_on,
        updated_on=bundle.updated_on,
        expires_on=bundle.expires_on,
        operations=list(bundle.key_ops),
        tags=bundle.tags,
        public_spki=bundle.public_spki,
    )


def _compare(run: JobRun, group: KeyGroup, seen: list[Seen]) -> int:
    """Keep and report the differences, in one transaction. Return how many versions differ."""
    rows = group.cloud_versions.exclude(azure_version="").select_related("key")
    known = {version.azure_version: version for version in rows}
    in_vault = {each.azure_version for each in seen}
    with run.write():
        for version in known.values():
            if version.azure_version not in in_vault:
                _note_missing(run, group, version)
        for each in seen:
            _note(run, group, known.get(each.azure_version), each)
        missing = [name for name, version in known.items() if version.state == VersionState.MISSING]
        drift.forget_others(group, [*in_vault, *missing])
        return drift.recount(group)


def _note_missing(run: JobRun, group: KeyGroup, version: CloudVersion) -> None:
    if version.state in LIVE_VERSION_STATES:
        key_lifecycle.record_missing(version=version)
        _report(run, _("Version %(version)s is missing in the vault") % {"version": version.azure_version}, version)
    if version.state == VersionState.MISSING:
        if _living_copy(version):
            # It was pushed anew since.
            group.observations.filter(version=version).delete()
        else:
            drift.observe_missing(group, version)


def _note(run: JobRun, group: KeyGroup, version: CloudVersion | None, seen: Seen) -> None:
    name = seen.azure_version
    if version is not None and version.state == VersionState.MISSING and not _living_copy(version):
        key_lifecycle.record_enabled(version=version, enabled=seen.enabled)
        _report(run, _("Version %(version)s is in the vault again") % {"version": name}, version)
    if version is not None and version.state not in LIVE_VERSION_STATES:
        version = None
    row = drift.observe(group, version, seen)
    if row.is_accepted or not row.flags:
        return
    if version is None:
        text = _("The vault holds version %(version)s that was not made here") % {"version": name}
        _report(run, text, finding=UNMANAGED, azure_version=name)
        return
    if Drift.ENABLED in row.flags:
        state = _("enabled") if seen.enabled else _("disabled")
        text = _("Version %(version)s was %(state)s outside this console") % {"version": name, "state": state}
        _report(run, text, version)
    others = [str(Drift(flag).label) for flag in row.flags if flag != Drift.ENABLED]
    if others:
        text = _("Version %(version)s differs from what is known here: %(what)s")
        _report(run, text % {"version": name, "what": ", ".join(others)}, version)


def _living_copy(version: CloudVersion) -> bool:
    """Return whether the same key stands in the vault under another version."""
    others = CloudVersion.objects.filter(key=version.key_id, vault=version.vault_id).exclude(pk=version.pk)
    return others.exclude(state__in=ENDED_VERSION_STATES).exists()


def _report(
    run: JobRun, text: str, version: CloudVersion | None = None, *, finding: str = "", azure_version: str = ""
) -> None:
    """Say and log one difference; ``finding`` names its kind for reports."""
    run.say(text, Severity.WARNING)
    run.log(
        "azure.drift_found",
        text,
        key=version.key if version else None,
        version=version.azure_version if version else azure_version,
        data={"finding": finding} if finding else None,
    )
