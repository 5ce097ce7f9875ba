"""Cloud purge: remove a deleted Azure key for good. Keys here stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.confirmation.forms import typed_name_form
from jobs.confirmation.plan import Fate, Plan, count_versions, keys_stay, recoverable_until, vault_facts
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.models import Job
from jobs.planning import blockers
from jobs.planning.azure_key_requests import describe_links, request_on_azure_key
from jobs.planning.menus import on_group
from jobs.planning.requests import group_of
from jobs.spec import Approval, Confirmation, Given, JobSpec, Scope, Step, Wording, always, leaves_one_call
from keygroups.choices import GroupCloudState, VersionState
from keygroups.models import KeyGroup
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError

KIND = "cloud_purge"


def request_cloud_purge(
    *,
    group: KeyGroup,
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    follows: Job | None = None,
    then: Sequence[dict[str, Any]] = (),
    reason: str = "",
) -> Job:
    """Ask for a deleted Azure key to be purged; that can't be undone.

    Raises:
        ConflictError: the vault has purge protection, or the Azure key is not deleted.

    """
    if group.vault.is_purge_protected:
        raise ConflictError(
            _("The vault “%(vault)s” has purge protection.") % {"vault": group.vault.name},
            _("Azure purges the key by itself when the retention period ends; until then it can be recovered."),
        )
    return request_on_azure_key(
        KIND,
        group,
        Right.CLOUD_PURGE,
        GroupCloudState.SOFT_DELETED,
        actor=actor,
        idempotency_key=idempotency_key,
        retry_of=retry_of,
        follows=follows,
        then=then,
        reason=reason,
    )


def _plan(target: StartTarget) -> Plan:
    return _plan_group(target.the_group)


def _plan_job(job: Job) -> Plan:
    """Return what a purge that was requested does, with the keys that its chain destroys here."""
    plan = _plan_group(group_of(job))
    return replace(plan, effects=[*plan.effects, *describe_links(job)])


def _plan_group(group: KeyGroup) -> Plan:
    return Plan(
        title=_("Purge %(key)s from %(vault)s") % {"key": group.azure_name, "vault": group.vault.name},
        button=_("Purge Azure key"),
        back=group.get_absolute_url(),
        facts=[*vault_facts(group), (_("Recoverable until"), recoverable_until(group))],
        fates=[
            keys_stay(),
            Fate(
                count_versions(group, [VersionState.SOFT_DELETED]), _("gone for good; nobody can recover them"), "bad"
            ),
            Fate(_("The name “%(name)s”") % {"name": group.azure_name}, _("is free again"), "neutral"),
        ],
        warnings=[_("This can't be undone.")],
        obstacle=blockers.why_not_purge(group),
        typed=group.azure_name,
        danger=True,
    )


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    return request_cloud_purge(group=target.the_group, **given)


def _retry(job: Job, given: Given) -> Job:
    return request_cloud_purge(group=group_of(job), retry_of=job, then=job.params.get("then", ()), **given)


def _follow(job: Job, _link: dict[str, Any], then: list[dict[str, Any]], given: Given) -> Job | None:
    group = KeyGroup.objects.select_related("vault", "credential").get(jobs=job)
    if group.cloud_state == GroupCloudState.PURGED:
        # A vault without soft-delete: deleted was gone for good.
        return None
    return request_cloud_purge(group=group, follows=job, then=then, **given)


CLOUD_PURGE = JobSpec(
    kind=KIND,
    title=gettext_lazy("Purge HSM Protected key(s)"),
    right=Right.CLOUD_PURGE,
    wording=Wording("Purging", "Purged", "purge"),
    counts_keys=True,
    steps=(
        Step("preflight", gettext_lazy("Check vault")),
        Step("purge_key", gettext_lazy("Purge Azure key")),
        Step("record", gettext_lazy("Record the outcome")),
    ),
    scope=Scope.AZURE_KEY,
    holds_azure_key=True,
    blocks_group=True,
    pushes_keys=False,
    failpoints=KIND,
    menu=(on_group(KIND, gettext_lazy("Purge"), 34, blockers.why_not_purge, danger=True),),
    confirmation=Confirmation(needs=("group",), is_complete=is_enough, plan=_plan, form=typed_name_form, start=_start),
    left_by_cancel=leaves_one_call,
    retry=_retry,
    follow=_follow,
    approval=Approval(
        label=gettext_lazy("Purge an Azure key"), actions=always(KIND), expected=always(KIND), plan=_plan_job
    ),
    runner="jobs.kinds.cloud_purge.runner.RUNNER",
)
