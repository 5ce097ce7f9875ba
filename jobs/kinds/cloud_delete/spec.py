"""Cloud delete: delete the whole Azure key, with all its versions. Keys here stay.

It is confirmed on the page that removes a group's keys (``jobs.pages.removal_views``), which shows the local side too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from jobs.confirmation.plan import Fate, Plan, count_versions, vault_facts
from jobs.models import Job
from jobs.planning import blockers
from jobs.planning.azure_key_requests import describe_links, request_on_azure_key
from jobs.planning.menus import CLOUD
from jobs.planning.requests import group_of
from jobs.spec import Approval, Given, JobSpec, MenuEntry, RemovalPage, Scope, Step, Wording, always, leaves_one_call
from keygroups.choices import STORED_VERSION_STATES, GroupCloudState
from keygroups.models import KeyGroup
from kmes.accounts.rights import Right
from kmes.core.actor import Actor

KIND = "cloud_delete"


def request_cloud_delete(
    *,
    group: KeyGroup,
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    part_of: Job | None = None,
    then: Sequence[dict[str, Any]] = (),
    reason: str = "",
) -> Job:
    """Ask for the whole Azure key to be deleted; ``then`` holds the jobs that follow (``jobs.engine.chains``)."""
    return request_on_azure_key(
        KIND,
        group,
        Right.CLOUD_DELETE,
        GroupCloudState.LIVE,
        actor=actor,
        idempotency_key=idempotency_key,
        retry_of=retry_of,
        part_of=part_of,
        then=then,
        reason=reason,
    )


def _plan_job(job: Job) -> Plan:
    """Return what a deletion that was requested does, with the jobs that follow it."""
    group = group_of(job)
    versions = job.params["versions"]
    return Plan(
        title=gettext("Delete %(key)s from %(vault)s") % {"key": group.azure_name, "vault": group.vault.name},
        button=gettext("Delete from Azure"),
        back=group.get_absolute_url(),
        facts=[*vault_facts(group), (gettext("Versions"), ", ".join(versions) or "–")],
        fates=[
            Fate(count_versions(group, STORED_VERSION_STATES), gettext("deleted, all of them"), "warning"),
            Fate(gettext("Applications that use the key"), gettext("stop at once"), "bad"),
        ],
        effects=[gettext("The vault deletes the Azure key with all its versions."), *describe_links(job)],
    )


def _retry(job: Job, given: Given) -> Job:
    return request_cloud_delete(group=group_of(job), retry_of=job, then=job.params.get("then", ()), **given)


CLOUD_DELETE = JobSpec(
    kind=KIND,
    title=_("Delete HSM Protected key(s)"),
    right=Right.CLOUD_DELETE,
    wording=Wording("Deleting", "Deleted", "delete"),
    counts_keys=True,
    steps=(
        Step("preflight", _("Check vault")),
        Step("delete_key", _("Delete Azure key")),
        Step("record", _("Record the outcome")),
    ),
    scope=Scope.AZURE_KEY,
    holds_azure_key=True,
    blocks_group=True,
    pushes_keys=False,
    failpoints=KIND,
    menu=(
        MenuEntry(
            target="group",
            name=KIND,
            label=_("Delete"),
            order=32,
            query=lambda group: {"group": group.pk, "scope": "cloud"},
            why_not=blockers.why_not_delete,
            submenu=CLOUD,
            danger=True,
            page="jobs:remove",
        ),
    ),
    confirmation=RemovalPage(scope="cloud"),
    left_by_cancel=leaves_one_call,
    retry=_retry,
    follow=None,
    approval=Approval(label=_("Delete an Azure key"), actions=always(KIND), expected=always(KIND), plan=_plan_job),
    runner="jobs.kinds.cloud_delete.runner.RUNNER",
)
