"""Set enabled: enable or disable one version in the vault, or those of several keys, of one key group or of many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.confirmation.forms import typed_name_form
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget
from jobs.engine.creation import NewJob, create_job
from jobs.kinds.set_enabled.plan import plan_selection, plan_version, plan_versions
from jobs.models import Job
from jobs.planning import blockers
from jobs.planning.eligibility import find_switchable, versions_of, why_none
from jobs.planning.menus import CLOUD
from jobs.planning.requests import only_group, require_live, subject_of_keys, undone_keys
from jobs.spec import Approval, Confirmation, Given, JobSpec, MenuEntry, Scope, Step, Wording, leaves_one_call
from keygroups.choices import VersionState
from keygroups.models import CloudVersion, Key
from kmes.accounts.rights import Right, check_each
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError

KIND = "set_enabled"


def request_set_enabled(
    *,
    version: CloudVersion,
    enabled: bool,
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    reason: str = "",
    part_of: Job | None = None,
) -> Job:
    """Ask for one version in the vault to be enabled or disabled.

    Raises:
        ConflictError: the vault holds no such version.

    """
    return request_switch(
        versions=[version],
        enabled=enabled,
        actor=actor,
        idempotency_key=idempotency_key,
        retry_of=retry_of,
        reason=reason,
        part_of=part_of,
    )


def request_switch(
    *,
    versions: Sequence[CloudVersion],
    enabled: bool,
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    reason: str = "",
    part_of: Job | None = None,
) -> Job:
    """Ask for versions to be enabled or disabled by one job, which works on one key group after the other.

    Raises:
        ConflictError: the vault holds no such version, or there is none.

    """
    check_each(actor, Right.KEY_DISABLE, versions)
    if not versions:
        raise ConflictError(_("There is no version to enable or disable."), _("Select keys that are synchronized."))
    for version in versions:
        require_live(version)
    keys, ids = [version.key for version in versions], [str(version.pk) for version in versions]
    groups = len({key.group_id for key in keys})
    params: dict[str, Any] = {"enabled": enabled, **({"version_id": ids[0]} if len(ids) == 1 else {"version_ids": ids})}
    new = NewJob(
        KIND,
        subject_of_keys(keys),
        group=only_group(keys),
        keys=keys,
        params=params | ({"groups": groups} if groups > 1 else {}),
        retry_of=retry_of,
        part_of=part_of,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key, reason=reason)


def version_ids(job: Job) -> list[str]:
    """Return the ids of the versions that a job of this kind switches."""
    return list(job.params.get("version_ids") or [job.params["version_id"]])


def _actions(job: Job) -> tuple[str, ...]:
    """Return the action of a job that disables the current version; others need no approval."""
    versions = CloudVersion.objects.filter(pk__in=version_ids(job))
    return _actions_on(versions, is_enabling=job.params["enabled"])


def _expected(target: StartTarget) -> tuple[str, ...]:
    versions = _versions_of(target) if target.selection is not None else [target.version]
    return _actions_on(versions, is_enabling=bool(target.enabled))


def _actions_on(versions: Iterable[CloudVersion | None], *, is_enabling: bool) -> tuple[str, ...]:
    has_current = any(version is not None and version.state == VersionState.ACTIVE for version in versions)
    return (KIND,) if has_current and not is_enabling else ()


def _plan_job(job: Job) -> Plan:
    related = CloudVersion.objects.select_related("key__group__vault", "group__vault", "group__credential")
    found = {str(version.pk): version for version in related.filter(pk__in=version_ids(job))}
    versions = [found[each] for each in version_ids(job) if each in found]
    if len(versions) < len(version_ids(job)):
        raise ConflictError(_("The version no longer exists."))
    enabled = job.params["enabled"]
    if len(versions) == 1:
        return plan_version(versions[0], enabled=enabled)
    # Approvers see all names.
    return plan_versions(versions, enabled=enabled, names=len(versions))


def _plan(target: StartTarget) -> Plan:
    enabled = bool(target.enabled)
    if target.selection is not None:
        keys = find_switchable(target.keys, wanted=enabled)
        return plan_selection(keys, versions_of(keys.eligible), enabled=enabled)
    return plan_version(target.the_version, enabled=enabled)


def _versions_of(target: StartTarget) -> list[CloudVersion]:
    return versions_of(find_switchable(target.keys, wanted=bool(target.enabled)).eligible)


def _is_complete(target: StartTarget) -> bool:
    return target.enabled is not None and (target.version is not None or target.selection is not None)


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    if target.selection is not None:
        return request_switch(versions=_versions_of(target), enabled=bool(target.enabled), **given)
    return request_set_enabled(version=target.the_version, enabled=bool(target.enabled), **given)


def _retry(job: Job, given: Given) -> Job:
    undone = [key.pk for key in undone_keys(job)]
    rows = CloudVersion.objects.select_related("key__group__vault", "group")
    rows = rows.filter(pk__in=version_ids(job), key__in=undone)
    versions = list(rows.order_by("key__created_at", "key__name"))
    return request_switch(versions=versions, enabled=job.params["enabled"], retry_of=job, **given)


def _on_key(key: Key, *, enabled: bool) -> dict[str, Any]:
    version = blockers.situation_of_key(key).version
    return {"version": version.pk if version else "", "enabled": int(enabled)}


def _menu() -> tuple[MenuEntry, ...]:
    def of_key(name: str, *, enabled: bool, order: int) -> MenuEntry:
        return MenuEntry(
            target="key",
            name=name,
            label=_LABELS[enabled],
            order=order,
            query=lambda key: _on_key(key, enabled=enabled),
            why_not=blockers.why_not_enable if enabled else blockers.why_not_disable,
            submenu=CLOUD,
        )

    def of_version(name: str, *, enabled: bool, order: int) -> MenuEntry:
        return MenuEntry(
            target="version",
            name=name,
            label=_LABELS[enabled],
            order=order,
            query=lambda version: {"version": version.pk, "enabled": int(enabled)},
            why_not=lambda version: blockers.why_not_switch_version(version, wanted=enabled),
            submenu=CLOUD,
        )

    def of_keys(name: str, *, enabled: bool, order: int) -> MenuEntry:
        return MenuEntry(
            target="keys",
            name=name,
            label=_LABELS[enabled],
            order=order,
            query=lambda _selection: {"enabled": int(enabled)},
            why_not=why_none(partial(find_switchable, wanted=enabled)),
            submenu=CLOUD,
        )

    return (
        of_keys("disable", enabled=False, order=11),
        of_keys("enable", enabled=True, order=12),
        of_key("disable", enabled=False, order=11),
        of_key("enable", enabled=True, order=12),
        of_version("disable", enabled=False, order=10),
        of_version("enable", enabled=True, order=11),
    )


_LABELS = {False: gettext_lazy("Disable"), True: gettext_lazy("Enable")}

SET_ENABLED = JobSpec(
    kind=KIND,
    title=gettext_lazy("Enable or disable HSM Protected key(s)"),
    right=Right.KEY_DISABLE,
    wording=Wording("Updating", "Updated", "update"),
    counts_keys=True,
    steps=(
        Step("enable_version", gettext_lazy("Enable version")),
        Step("disable_version", gettext_lazy("Disable version"), is_alternative=True),
    ),
    scope=Scope.KEYS,
    holds_azure_key=True,
    blocks_group=True,
    pushes_keys=False,
    failpoints=KIND,
    menu=_menu(),
    confirmation=Confirmation(
        needs=("version", "keys"), is_complete=_is_complete, plan=_plan, form=typed_name_form, start=_start
    ),
    left_by_cancel=leaves_one_call,
    retry=_retry,
    follow=None,
    approval=Approval(
        label=gettext_lazy("Disable the current version"), actions=_actions, expected=_expected, plan=_plan_job
    ),
    runner="jobs.kinds.set_enabled.runner.RUNNER",
)
