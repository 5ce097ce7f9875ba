"""The tenants of credentials: one typed as a verified domain gets its id, which only a worker can ask for.

Jobs, which reach the cloud, register who looks a tenant up.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import F

from cloudcreds import destinations
from cloudcreds.azure.credential_fields import is_guid
from cloudcreds.choices import Service
from cloudcreds.models import CloudCredential
from cloudcreds.services import subject_of
from kmes.core.actor import Actor
from kmes.core.clock import now
from logging_reports.services import record

# Starts a job that looks a credential's tenant up and calls ``record_id``.
LookUp = Callable[[CloudCredential, Actor], None]
_look_ups: list[LookUp] = []


def register(look_up: LookUp) -> None:
    """Register who looks tenants up; the latest one counts."""
    _look_ups[:] = [look_up]


def look_up(credential: CloudCredential, *, actor: Actor) -> bool:
    """Start to look up the tenant of a credential that names it by a domain. Return whether it does."""
    if credential.service != Service.AZURE or is_guid(credential.tenant_id):
        return False
    for start in _look_ups:
        start(credential, actor)
    return True


def record_id(credential: CloudCredential, tenant_id: str, *, actor: Actor) -> bool:
    """Record the id of the tenant that ``credential`` names by a domain, within the caller's transaction.

    Return False where it names the id already, or somebody changed the tenant meanwhile.
    """
    typed = credential.tenant_id
    if typed.lower() == tenant_id.lower():
        return False
    with destinations.changing(credential, actor=actor):
        changed = CloudCredential.objects.filter(pk=credential.pk, tenant_id=typed).update(
            tenant_id=tenant_id, updated_at=now(), lock_version=F("lock_version") + 1
        )
    if changed:
        record(
            "credential.updated",
            actor=actor,
            message=f"Tenant {typed} of cloud credential {credential.name} is recorded by its ID {tenant_id}",
            subject=subject_of(credential),
            data={"changed": {"tenant_id": [typed, tenant_id]}},
        )
    return bool(changed)
