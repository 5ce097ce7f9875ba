"""Makes the rows the job tests work with, through the services a page would call."""

from __future__ import annotations

from cloudcreds import seals
from cloudcreds.destinations import sign_new, sign_new_vault
from cloudcreds.models import CloudCredential, KeyVault
from hsm.sealing import seal
from hsm.services import designated_device
from jobs.engine import execution
from jobs.kinds.create.spec import request_create_keys
from jobs.models import Job
from keygroups import destinations, lifecycle
from keygroups.models import Key, KeyGroup
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from kmes.core.ids import new_uuid
from kmes.core.secret_types import SecretText

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"


def make_credential(
    url, *, actor, name="Contoso", secret="emulator-secret", tenant=TENANT, client=CLIENT, is_signed=True
):
    """A credential row, sealed and signed as the web process does it; unsigned as an earlier release did."""
    credential = CloudCredential(
        id=new_uuid(),
        name=name,
        cloud="custom",
        tenant_id=tenant,
        client_id=client,
        authority_url=url,
        arm_url=url,
        secret_set_at=now(),
    )
    credential.sealed_for = seals.place_of(credential) if is_signed else []
    credential.sealed_secret = seal(
        SecretText(secret),
        aad=seals.context_of_secret(credential),
        mfk_public_spki=bytes(designated_device().mfk_public_spki),
    )
    credential.save()
    if is_signed:
        sign_new(credential, actor=actor)
    return credential


def save_credential(credential, **changes):
    """Change a credential past its form, and sign it as its page does."""
    found = CloudCredential.objects.get(pk=credential.pk)
    for name, value in changes.items():
        setattr(found, name, value)
    found.save()
    sign_new(found, actor=SYSTEM)
    credential.refresh_from_db()


def make_vault(credential, url, **values):
    """The row of a vault as a list of vaults or a typed address leaves it; the one there is, if there is one."""
    vault, is_new = KeyVault.objects.get_or_create(
        credential=credential, url=url.rstrip("/"), defaults={"name": "kv", **values}
    )
    if is_new:
        sign_new_vault(vault)
    return vault


def make_group(credential, vault_url, *, name, spec="P-256", usage=("sign",), actor=SYSTEM, is_signed=True, **values):
    """A key group with its vault."""
    vault = make_vault(credential, vault_url)
    group = KeyGroup.objects.create(
        name=name, key_spec=spec, usage=list(usage), credential=credential, vault=vault, azure_name=name, **values
    )
    lifecycle.schedule_rotation(group=group, anchor_at=now())
    if is_signed:
        destinations.sign_new(group, actor=actor)
    return group


def work(job: Job) -> Job:
    """Run a job as a worker does, to where it stops by itself."""
    execution.execute(job.pk, owner="test-worker")
    job.refresh_from_db()
    return job


def make_keys(group, *names, actor) -> list[Key]:
    """Make keys by a create job."""
    job = work(request_create_keys(group=group, names=list(names), actor=actor))
    assert job.state == "succeeded", job.error_what
    return list(group.keys.filter(name__in=names).order_by("created_at"))


def messages(job) -> list[str]:
    """The lines of a job's log."""
    return list(job.messages.values_list("text", flat=True))
