"""Check drift: compare what is wanted here with what the vault holds. Changes nothing in the vault.

Each version gets the state it has in the vault, and so does the group: every page shows what was last seen. What
is wanted stays beside it, with the differences (``keygroups.drift``), until somebody repairs or accepts them.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils.translation import gettext as _

from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VersionInfo
from jobs.choices import IntentOperation, IntentState
from jobs.engine.cancellation import stop_if_requested
from jobs.engine.gateways import gateway_for
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.engine.transaction import RunTransaction
from jobs.journal.intents import resolve_all
from jobs.kinds.azure_key import find_deleted
from jobs.kinds.check_drift.readings import read_key
from jobs.kinds.check_drift.spec import UNMANAGED
from jobs.kinds.observations import seen_of
from jobs.kinds.push.deleted_keys import record_fate
from jobs.kinds.push.earlier_calls import resolve_earlier_calls
from jobs.kinds.push.imports import record_versions
from jobs.kinds.subjects import group_of
from jobs.kinds.vault_versions import list_all_versions, read_listed
from jobs.models import Intent
from keygroups import drift
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import ENDED_VERSION_STATES, LIVE_VERSION_STATES, Drift, GroupCloudState, VersionState
from keygroups.drift import Seen
from keygroups.fields import own_tags
from keygroups.models import CloudVersion, KeyGroup, Observation
from kmes.core.clock import now
from logging_reports.choices import Severity

# Azure's times have whole seconds: a version changed so shortly before it was read is read once more.
SAME_MOMENT = timedelta(seconds=2)


def run_check_drift(run: JobRun) -> None:
    """List the vault's versions, record how they differ, and which are missing."""
    group = group_of(run)
    count = group.cloud_versions.filter(state__in=LIVE_VERSION_STATES).count()
    with step(run, "compare"):
        if not run.job.messages.exists():
            with run.write() as tx:
                tx.add_message(run.spec.wording.start(count))
        gateway = gateway_for(run, group.vault)
        gateway.get_token()
        live = list_all_versions(gateway, group)
        in_doubt = resolve_earlier_calls(run, gateway, group, live)
        group.refresh_from_db(fields=["cloud_state"])
        _record_updates(run, live, in_doubt)
        _adopt_ours(run, gateway, group, live)
        group.refresh_from_db(fields=["cloud_state", "current_version"])
        if not live and _is_deleted(run, gateway, group):
            _resolve_doubts(run, in_doubt)
            return
        seen = _look(run, gateway, group, live)
        current = _read_current(gateway, group, seen) if live else ""
        found, is_ours_current = _compare(run, group, seen, current)
        if live:
            read_key(run, gateway, group, live)
        with run.write() as tx:
            if not found and is_ours_current:
                tx.add_message(_("No drift: the vault holds what this console knows of"))
            tx.add_message(run.spec.wording.all_done(count))
        _resolve_doubts(run, in_doubt)


def _adopt_ours(run: JobRun, gateway: VaultGateway, group: KeyGroup, live: list[VersionInfo]) -> None:
    """Record versions that hold keys of this group and have no row, such as after a restored backup."""
    known = set(group.cloud_versions.exclude(azure_version="").values_list("azure_version", flat=True))
    keys = {str(key.pk): key for key in group.keys.all()}
    held = set(group.cloud_versions.exclude(state__in=ENDED_VERSION_STATES).values_list("key_id", flat=True))
    for info in live:
        key = keys.get(info.tags.get("kmes-key", ""))
        if key is None or info.version in known or key.pk in held:
            continue
        bundle = gateway.get_key(group.azure_name, info.version)
        # The tag is only a hint: anybody may set it.
        if bundle is None or bundle.public_spki != bytes(key.public_spki):
            continue
        held.add(key.pk)
        with run.write() as tx:
            record_versions(tx, [(key, bundle)])
            text = _("Version %(version)s holds key %(key)s of this console; it is known again")
            tx.add_message(text % {"version": info.version, "key": key.name})


def _follow_current(tx: RunTransaction, group: KeyGroup, current: str) -> bool:
    """Record the version that the vault calls current. Return whether it is the one that was called so here."""
    live = group.cloud_versions.filter(state__in=LIVE_VERSION_STATES)
    active = live.filter(state=VersionState.ACTIVE).first()
    before = active.azure_version if active else group.current_version
    key_lifecycle.record_current(group=group, azure_version=current)
    version = live.filter(azure_version=current).select_related("key").first()
    if version is None:
        text = _("The vault's current version is %(version)s, which was not made here") % {"version": current}
        if group.observations.filter(azure_version=current, is_accepted=True).exists():
            tx.add_message(text)
        else:
            _report(tx, text, azure_version=current)
        return False
    if before in {"", current}:
        return True
    text = _("The vault's current version is %(version)s (%(key)s), not the one called active here")
    _report(tx, text % {"version": current, "key": version.key.name}, version)
    return False


def _record_updates(run: JobRun, live: list[VersionInfo], in_doubt: list[Intent]) -> None:
    """Record the effect of our own calls to enable, disable or tag a version whose answer was lost."""
    there = {info.version: info for info in live}
    for intent in in_doubt:
        if intent.key is None:
            continue
        version = intent.key.cloud_versions.filter(state__in=LIVE_VERSION_STATES).first()
        info = there.get(version.azure_version) if version else None
        if version is None or info is None:
            continue
        tags = own_tags(info.tags)
        if intent.operation == IntentOperation.SWITCH and info.enabled != version.wanted_enabled:
            with run.write():
                key_lifecycle.record_enabled(version=version, enabled=info.enabled)
        elif intent.operation == IntentOperation.SET_TAGS and tags == intent.job.params["tags"]:
            with run.write():
                key_lifecycle.record_tags(version=version, tags=tags)


def _resolve_doubts(run: JobRun, in_doubt: list[Intent]) -> None:
    """Resolve the calls in doubt: their effect, if any, has been recorded."""
    if in_doubt:
        with run.write() as tx:
            resolve_all(tx, [(intent, "") for intent in in_doubt], IntentState.VOID)


def _is_deleted(run: JobRun, gateway: VaultGateway, group: KeyGroup) -> bool:
    """Record a whole key that somebody deleted outside this console. Return whether it was so."""
    deleted = find_deleted(gateway, group)
    if deleted is None:
        record_fate(run, gateway, group, ())
    if deleted is None or group.cloud_state != GroupCloudState.LIVE:
        return False
    with run.write() as tx:
        key_lifecycle.record_deleted(
            group=group, deleted_at=deleted.deleted_on or now(), scheduled_purge_at=deleted.scheduled_purge_on
        )
        drift.forget_others(group, ())
        _report(tx, _("The Azure key was deleted outside this console"))
        key_lifecycle.record_differences(group=group, differences=1, is_compared=True)
    return True


def _look(run: JobRun, gateway: VaultGateway, group: KeyGroup, live: list[VersionInfo]) -> list[Seen]:
    """Return each version with its operations, which a list lacks; unchanged ones are not read again."""
    before = {row.azure_version: row for row in group.observations.all()}
    seen = []
    for info in live:
        known = before.get(info.version)
        if known is not None and _is_unchanged(known, info):
            seen.append(_from_listing(info, known.operations))
            continue
        stop_if_requested(run)
        seen.append(seen_of(read_listed(gateway, group, info.version)))
    return seen


def _read_current(gateway: VaultGateway, group: KeyGroup, seen: list[Seen]) -> str:
    """Return the current version: the one created last, and of those of one second the one that the vault calls so.

    Its answer alone may lag behind (docs/azure.md#lifecycle).
    """
    told = gateway.get_key(group.azure_name)
    latest = max((each.created_on for each in seen if each.created_on is not None), default=None)
    if told is not None and (latest is None or told.created_on is None or told.created_on >= latest):
        return told.version
    last = [each.azure_version for each in seen if latest is not None and each.created_on == latest]
    return last[0] if len(last) == 1 else told.version if told is not None else ""


def _is_unchanged(known: Observation, info: VersionInfo) -> bool:
    if not known.is_present or info.updated_on is None or known.updated_on != info.updated_on:
        return False
    # Only a read shows whether the material differs.
    return known.seen_at - info.updated_on > SAME_MOMENT and Drift.MATERIAL not in known.flags


def _from_listing(info: VersionInfo, operations: list[str]) -> Seen:
    return Seen(
        azure_version=info.version,
        kid=info.kid,
        enabled=info.enabled,
        created_on=info.created_on,
        updated_on=info.updated_on,
        expires_on=info.expires_on,
        not_before=info.not_before,
        operations=operations,
        tags=info.tags,
    )


def _compare(run: JobRun, group: KeyGroup, seen: list[Seen], current: str) -> tuple[int, bool]:
    """Record what the vault holds and calls current, and report the differences, in one transaction.

    Return how many versions differ, and whether the vault calls the version current that was called so here.
    """
    rows = group.cloud_versions.exclude(azure_version="").select_related("key")
    known = {version.azure_version: version for version in rows}
    in_vault = {each.azure_version for each in seen}
    with run.write() as tx:
        for version in known.values():
            if version.azure_version not in in_vault:
                _note_missing(tx, group, version)
        # A version newer than the listing is left to the next comparison.
        is_ours = current not in in_vault or _follow_current(tx, group, current)
        for each in seen:
            _note(tx, group, known.get(each.azure_version), each)
        missing = [name for name, version in known.items() if version.state == VersionState.MISSING]
        drift.forget_others(group, [*in_vault, *missing])
        return drift.recount(group, is_compared=True), is_ours


def _note_missing(tx: RunTransaction, group: KeyGroup, version: CloudVersion) -> None:
    if version.state in LIVE_VERSION_STATES:
        key_lifecycle.record_missing(version=version)
        _report(tx, _("Version %(version)s is missing in the vault") % {"version": version.azure_version}, version)
    if version.state == VersionState.MISSING:
        if _living_copy(version):
            # It has been pushed again since.
            group.observations.filter(version=version).delete()
        else:
            drift.observe_missing(group, version)


def _note(tx: RunTransaction, group: KeyGroup, version: CloudVersion | None, seen: Seen) -> None:
    name = seen.azure_version
    is_back = version is not None and version.state == VersionState.MISSING and not _living_copy(version)
    if version is not None and version.state not in LIVE_VERSION_STATES and not is_back:
        version = None
    row = drift.observe(group, version, seen)
    if is_back:
        _report(tx, _("Version %(version)s is in the vault again") % {"version": name}, version)
    if row.is_accepted or not row.flags:
        return
    if version is None:
        text = _("The vault holds version %(version)s that was not made here") % {"version": name}
        _report(tx, text, finding=UNMANAGED, azure_version=name)
        return
    if Drift.ENABLED in row.flags:
        state = _("enabled") if seen.enabled else _("disabled")
        text = _("Version %(version)s was %(state)s outside this console") % {"version": name, "state": state}
        _report(tx, text, version)
    others = [str(Drift(flag).label) for flag in row.flags if flag != Drift.ENABLED]
    if others:
        text = _("Version %(version)s differs from what is known here: %(what)s")
        _report(tx, text % {"version": name, "what": ", ".join(others)}, version)


def _living_copy(version: CloudVersion) -> bool:
    """Return whether the vault holds the same key under another version."""
    others = CloudVersion.objects.filter(key=version.key_id, vault=version.vault_id).exclude(pk=version.pk)
    return others.exclude(state__in=ENDED_VERSION_STATES).exists()


def _report(
    tx: RunTransaction, text: str, version: CloudVersion | None = None, *, finding: str = "", azure_version: str = ""
) -> None:
    """Add one difference to messages and log; ``finding`` names its kind for reports."""
    tx.add_message(text, Severity.WARNING)
    tx.log(
        "azure.drift_found",
        text,
        key=version.key if version else None,
        version=version.azure_version if version else azure_version,
        data={"finding": finding} if finding else None,
    )


RUNNER = Runner(
    run=run_check_drift,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
