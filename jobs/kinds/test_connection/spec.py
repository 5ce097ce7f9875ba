"""Test Connection: try a credential: token, Resource Manager, and each permission on a vault."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cloudcreds.models import CloudCredential, KeyVault
from jobs.confirmation.forms import ConnectionTestForm, FormInput
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.planning.requests import credential_of
from jobs.spec import Confirmation, Given, JobSpec, Scope, Step, Wording, leaves_nothing
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor

KIND = "test_connection"


def request_connection_test(
    *,
    credential: CloudCredential,
    vault: KeyVault | None = None,
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
) -> Job:
    """Ask for a credential to be tried: token, Resource Manager, and each permission on a vault."""
    check(actor, Right.CREDENTIAL_MANAGE)
    subject = f"{credential.name} → {vault.name}" if vault else credential.name
    params = {"vault_id": str(vault.pk) if vault else ""}
    new = NewJob(KIND, subject, credential=credential, vault=vault, params=params, retry_of=retry_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def _plan(target: StartTarget) -> Plan:
    credential, vault = target.the_credential, target.vault
    facts = [(_("Cloud credential"), credential.name), (_("Cloud"), credential.get_cloud_display())]
    if vault is not None:
        facts.append((_("Address"), vault.url))
    return Plan(
        title=_("Test connection of %(name)s") % {"name": credential.name},
        button=_("Test connection"),
        back=credential.get_absolute_url(),
        facts=facts,
        effects=[
            _("A token is requested, then Resource Manager is asked."),
            _("On a vault, network, tier, soft-delete and each key permission are tried; nothing is left behind."),
        ],
    )


def _form(given: FormInput) -> ConnectionTestForm:
    return ConnectionTestForm(given.data, credential=given.target.the_credential, chosen=given.target.vault)


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    return request_connection_test(credential=target.the_credential, vault=target.vault, **given)


def _retry(job: Job, given: Given) -> Job:
    vault_id = job.params.get("vault_id")
    vault = KeyVault.objects.filter(pk=vault_id).first() if vault_id else None
    return request_connection_test(credential=credential_of(job), vault=vault, retry_of=job, **given)


TEST_CONNECTION = JobSpec(
    kind=KIND,
    title=gettext_lazy("Test Connection"),
    right=Right.CREDENTIAL_MANAGE,
    wording=Wording("Testing", "Tested", "test"),
    counts_keys=False,
    steps=(Step("probe", gettext_lazy("Try each permission")),),
    scope=Scope.NO_KEY,
    holds_azure_key=False,
    blocks_group=True,
    pushes_keys=False,
    failpoints=KIND,
    menu=(),
    confirmation=Confirmation(needs=("credential",), is_complete=is_enough, plan=_plan, form=_form, start=_start),
    left_by_cancel=leaves_nothing,
    retry=_retry,
    follow=None,
    approval=None,
    runner="jobs.kinds.test_connection.runner.RUNNER",
)
