"""Writes of the wizard: record a vault by its address, and make the first key group with its push."""

from __future__ import annotations

from django.db import transaction

from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.services import subject_of
from cloudcreds.vaults import clean_vault_url, find_or_create_vault
from jobs.engine import fresh_grants
from jobs.kinds.rotate.spec import request_rotation
from jobs.models import Job
from keygroups.services import create_group
from keygroups.values import GroupValues
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from logging_reports.services import record


def record_vault(*, credential: CloudCredential, address: str, actor: Actor) -> KeyVault:
    """Record a vault by its name or address, for credentials that may not list vaults.

    Raises:
        PermissionRefused: the actor may not manage credentials.
        InputError: it is no vault of the credential's cloud (field "vault").

    """
    check(actor, Right.CREDENTIAL_MANAGE)
    url = clean_vault_url(address, credential=credential)
    with transaction.atomic():
        vault = find_or_create_vault(url=url, credential=credential)
        record(
            "configuration.changed",
            actor=actor,
            message=f"Key vault {vault.url} recorded for cloud credential {credential.name}",
            subject=subject_of(credential, vault=vault.name),
        )
    return vault


def push_first_key(*, vault: KeyVault, name: str, key_spec: str, actor: Actor, idempotency_key: str) -> Job:
    """Make a key group and the job that makes and pushes its first key, in one transaction.

    Raises:
        PermissionRefused: the actor may not make groups or keys.
        InputError: the name is taken or can't be used; ``field`` names it.
        DeviceError: no device is designated.

    """
    earlier = Job.objects.filter(idempotency_key=idempotency_key).first() if idempotency_key else None
    if earlier is not None:
        return earlier
    # Before anything is looked at: its steps would be refused one after the other.
    for right in (Right.GROUP_MANAGE, Right.KEY_CREATE, Right.KEY_ROTATE):
        check(actor, right, vault)
    values = GroupValues(name=name, credential=vault.credential, vault=vault.url, key_spec=key_spec)
    with transaction.atomic():
        group = create_group(values=values, actor=actor)
        job = request_rotation(group=group, actor=actor, idempotency_key=idempotency_key)
        fresh_grants.await_grants(job)
    return job
