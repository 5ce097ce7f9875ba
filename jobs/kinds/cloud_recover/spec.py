"""Cloud recover: bring a deleted Azure key back, with all its versions."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.confirmation.forms import plain_form
from jobs.confirmation.plan import Plan, recoverable_until, vault_facts
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.models import Job
from jobs.planning import blockers
from jobs.planning.azure_key_requests import request_on_azure_key
from jobs.planning.menus import on_group
from jobs.planning.requests import retry_on_group
from jobs.spec import Confirmation, Given, JobSpec, Scope, Step, Wording, leaves_one_call
from keygroups.choices import GroupCloudState
from keygroups.models import KeyGroup
from kmes.accounts.rights import Right
from kmes.core.actor import Actor

KIND = "cloud_recover"


def request_cloud_recover(
    *, group: KeyGroup, actor: Actor, idempotency_key: str = "", retry_of: Job | None = None
) -> Job:
    """Ask for a deleted Azure key to be recovered."""
    return request_on_azure_key(
        KIND,
        group,
        Right.CLOUD_DELETE,
        GroupCloudState.SOFT_DELETED,
        actor=actor,
        idempotency_key=idempotency_key,
        retry_of=retry_of,
    )


def _plan(target: StartTarget) -> Plan:
    group = target.the_group
    return Plan(
        title=_("Recover %(key)s in %(vault)s") % {"key": group.azure_name, "vault": group.vault.name},
        button=_("Recover Azure key"),
        back=group.get_absolute_url(),
        facts=[*vault_facts(group), (_("Recoverable until"), recoverable_until(group))],
        effects=[_("The key comes back with all its versions, as they were when it was deleted.")],
        obstacle=blockers.why_not_recover(group),
    )


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    return request_cloud_recover(group=target.the_group, **given)


CLOUD_RECOVER = JobSpec(
    kind=KIND,
    title=gettext_lazy("Recover HSM Protected key(s)"),
    right=Right.CLOUD_DELETE,
    wording=Wording("Recovering", "Recovered", "recover"),
    counts_keys=True,
    steps=(
        Step("preflight", gettext_lazy("Check vault")),
        Step("recover_key", gettext_lazy("Recover Azure key")),
        Step("record", gettext_lazy("Record the outcome")),
    ),
    scope=Scope.AZURE_KEY,
    holds_azure_key=True,
    blocks_group=True,
    pushes_keys=False,
    failpoints=KIND,
    menu=(on_group(KIND, gettext_lazy("Recover"), 33, blockers.why_not_recover),),
    confirmation=Confirmation(needs=("group",), is_complete=is_enough, plan=_plan, form=plain_form, start=_start),
    left_by_cancel=leaves_one_call,
    retry=retry_on_group(request_cloud_recover),
    follow=None,
    approval=None,
    runner="jobs.kinds.cloud_recover.runner.RUNNER",
)
