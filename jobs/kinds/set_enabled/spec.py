"""Set enabled: enable or disable one version in the vault."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.confirmation.forms import plain_form
from jobs.confirmation.plan import Plan, vault_facts
from jobs.confirmation.start_target import StartTarget
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.planning import blockers
from jobs.planning.menus import CLOUD
from jobs.planning.requests import require_live
from jobs.spec import Approval, Confirmation, Given, JobSpec, MenuEntry, Scope, Step, Wording, leaves_one_call
from keygroups.choices import VersionState
from keygroups.models import CloudVersion, Key
from kmes.accounts.rights import Right, check
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
    check(actor, Right.KEY_DISABLE)
    require_live(version)
    new = NewJob(
        KIND,
        version.key.name,
        group=version.group,
        keys=[version.key],
        params={"version_id": str(version.pk), "enabled": enabled},
        retry_of=retry_of,
        part_of=part_of,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key, reason=reason)


def _actions(job: Job) -> tuple[str, ...]:
    """Return the action of a job that disables the current version; others need no approval."""
    version = CloudVersion.objects.filter(pk=job.params["version_id"]).first()
    return _actions_on(version, is_enabling=job.params["enabled"])


def _expected(target: StartTarget) -> tuple[str, ...]:
    return _actions_on(target.version, is_enabling=bool(target.enabled))


def _actions_on(version: CloudVersion | None, *, is_enabling: bool) -> tuple[str, ...]:
    is_current = version is not None and version.state == VersionState.ACTIVE
    return (KIND,) if is_current and not is_enabling else ()


def _plan_job(job: Job) -> Plan:
    related = CloudVersion.objects.select_related("key", "group__vault", "group__credential")
    version = related.filter(pk=job.params["version_id"]).first()
    if version is None:
        raise ConflictError(_("The version no longer exists."))
    return _plan_version(version, enabled=job.params["enabled"])


def _plan(target: StartTarget) -> Plan:
    return _plan_version(target.the_version, enabled=bool(target.enabled))


def _plan_version(version: CloudVersion, *, enabled: bool) -> Plan:
    key, group = version.key, version.group
    effects = [
        _("The vault uses this version again.")
        if enabled
        else _("The vault refuses every use of this version; what is encrypted with it can't be read until then."),
        _("Other versions and the key here stay as they are."),
    ]
    if not enabled and version.state == VersionState.ACTIVE:
        effects.append(
            _(
                "This is the key's current version. Whoever names the key without a version meets it and fails: the "
                "vault does not fall back to an older version. Push another key first if the service must go on."
            )
        )
    verb = _("Enable") if enabled else _("Disable")
    return Plan(
        title=f"{verb} {key.name}",
        button=_("Enable version") if enabled else _("Disable version"),
        back=key.get_absolute_url(),
        facts=[*vault_facts(group), (_("Azure version"), version.azure_version)],
        effects=effects,
        obstacle=blockers.why_not_enable(key) if enabled else blockers.why_not_disable(key),
        danger=not enabled,
    )


def _is_complete(target: StartTarget) -> bool:
    return target.enabled is not None


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    return request_set_enabled(version=target.the_version, enabled=bool(target.enabled), **given)


def _retry(job: Job, given: Given) -> Job:
    version = CloudVersion.objects.get(pk=job.params["version_id"])
    return request_set_enabled(version=version, enabled=job.params["enabled"], retry_of=job, **given)


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

    return (
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
    confirmation=Confirmation(needs=("version",), is_complete=_is_complete, plan=_plan, form=plain_form, start=_start),
    left_by_cancel=leaves_one_call,
    retry=_retry,
    follow=None,
    approval=Approval(
        label=gettext_lazy("Disable the current version"), actions=_actions, expected=_expected, plan=_plan_job
    ),
    runner="jobs.kinds.set_enabled.runner.RUNNER",
)
