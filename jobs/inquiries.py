"""Asking for work that changes nothing: what the vault holds, what a credential may do, whether the device works.

Each function checks the right and opens the job, as ``services`` does for work on keys.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy

from cloudcreds.models import CloudCredential, KeyVault
from jobs.choices import JobKind
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from keygroups.models import KeyGroup
from kmes.accounts.rights import Right, check
from kmes.core import language
from kmes.core.actor import Actor


def request_check_drift(
    *, group: KeyGroup, actor: Actor, idempotency_key: str = "", retry_of: Job | None = None
) -> Job:
    """Ask for what the vault holds to be compared with what is known here."""
    check(actor, Right.KEY_PUSH)
    new = NewJob(JobKind.CHECK_DRIFT, group.name, group=group, azure_lock=group.azure_lock, retry_of=retry_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


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
    new = NewJob(
        JobKind.TEST_CONNECTION,
        subject,
        credential=credential,
        params={"vault_id": str(vault.pk) if vault else ""},
        retry_of=retry_of,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def request_vault_list(
    *, credential: CloudCredential, actor: Actor, idempotency_key: str = "", retry_of: Job | None = None
) -> Job:
    """Ask Azure Resource Manager which vaults the credential can see."""
    check(actor, Right.VAULT_LIST)
    new = NewJob(JobKind.LIST_VAULTS, credential.name, credential=credential, retry_of=retry_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def request_self_test(*, actor: Actor, idempotency_key: str = "", retry_of: Job | None = None) -> Job:
    """Ask for the device's self-test to be run by a worker."""
    check(actor, Right.DEVICE_MANAGE)
    new = NewJob(JobKind.SELF_TEST, language.recorded(gettext_lazy("device")), retry_of=retry_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)
