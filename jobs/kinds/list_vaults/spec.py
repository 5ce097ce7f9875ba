"""List Key Vaults: ask Resource Manager which vaults a credential can see."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cloudcreds.models import CloudCredential
from jobs.confirmation.forms import plain_form
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.planning.requests import credential_of
from jobs.spec import Confirmation, Given, JobSpec, Scope, Step, Wording, leaves_nothing
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor

KIND = "list_vaults"


def request_vault_list(
    *, credential: CloudCredential, actor: Actor, idempotency_key: str = "", retry_of: Job | None = None
) -> Job:
    """Ask Azure Resource Manager which vaults the credential can see."""
    check(actor, Right.VAULT_LIST)
    new = NewJob(KIND, credential.name, credential=credential, retry_of=retry_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def _plan(target: StartTarget) -> Plan:
    credential = target.the_credential
    return Plan(
        title=_("List Key Vaults of %(name)s") % {"name": credential.name},
        button=_("List Key Vaults"),
        back=credential.get_absolute_url(),
        facts=[(_("Cloud credential"), credential.name)],
        effects=[_("Resource Manager lists the vaults that the credential can see. They can then be chosen here.")],
    )


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    return request_vault_list(credential=target.the_credential, **given)


def _retry(job: Job, given: Given) -> Job:
    return request_vault_list(credential=credential_of(job), retry_of=job, **given)


LIST_VAULTS = JobSpec(
    kind=KIND,
    title=gettext_lazy("List Key Vaults"),
    right=Right.VAULT_LIST,
    wording=Wording("Listing", "Listed", "list"),
    counts_keys=False,
    steps=(Step("list_vaults", gettext_lazy("List Key Vaults")),),
    scope=Scope.NO_KEY,
    holds_azure_key=False,
    blocks_group=True,
    pushes_keys=False,
    failpoints=KIND,
    menu=(),
    confirmation=Confirmation(needs=("credential",), is_complete=is_enough, plan=_plan, form=plain_form, start=_start),
    left_by_cancel=leaves_nothing,
    retry=_retry,
    follow=None,
    approval=None,
    runner="jobs.kinds.list_vaults.runner.RUNNER",
)
