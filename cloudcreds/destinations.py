"""What marks and signatures cover of cloud credentials and vaults. Knows no device; what signs is ``hsm.signed_saves``."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial

from django.utils.translation import gettext as _

from cloudcreds.choices import CERTIFICATE_KINDS
from cloudcreds.models import CloudCredential, KeyVault
from hsm import signed_saves
from hsm.marks import CredentialFacts, VaultFacts, digest
from hsm.signed_saves import Claim
from kmes.core.actor import SYSTEM, Actor
from kmes.core.errors import ConflictError
from logging_reports.services import Subject

# What the log says of a credential's destination, beside what was exchanged of what is sealed.
_SHOWN = ("cloud", "tenant_id", "client_id", "sign_in", "authority_url", "arm_url")


def facts_of_credential(credential: CloudCredential) -> CredentialFacts:
    """Return what the mark of a credential covers, as its rows have it."""
    used = None
    if credential.sign_in in CERTIFICATE_KINDS:
        used = credential.certificates.filter(is_in_use=True).first()
    return CredentialFacts(
        id=credential.pk,
        service=credential.service,
        cloud=credential.cloud,
        tenant_id=credential.tenant_id,
        client_id=credential.client_id,
        sign_in=credential.sign_in,
        authority_url=credential.authority_url,
        arm_url=credential.arm_url,
        secret=digest(bytes(credential.sealed_secret)),
        certificate=digest(used.pem) if used else "",
        certificate_key=digest(bytes(used.sealed_key) or bytes(used.wrapped_key)) if used else "",
    )


def claim_of_credential(credential: CloudCredential) -> Claim[CredentialFacts]:
    """Return a credential as a destination."""
    facts = facts_of_credential(credential)
    return Claim(
        name=f"cloud credential {credential.name}",
        facts=facts,
        row=credential,
        subject=Subject(credential_id=str(credential.pk), credential=credential.name),
        shown={name: getattr(facts, name) for name in _SHOWN if getattr(facts, name)},
    )


def claim_of_vault(vault: KeyVault) -> Claim[VaultFacts]:
    """Return a vault as a destination."""
    credential = vault.credential
    return Claim(
        name=f"key vault {vault.name}",
        facts=VaultFacts(id=vault.pk, credential_id=credential.pk, cloud=credential.cloud, url=vault.url),
        row=vault,
        subject=Subject(credential_id=str(credential.pk), credential=credential.name, vault=vault.name),
        shown={"url": vault.url, "credential": credential.name},
    )


def sign_new(credential: CloudCredential, *, actor: Actor) -> None:
    """Sign a new credential, within the transaction that stores it and its certificate."""
    signed_saves.sign_new(claim_of_credential(credential), actor=actor)


def sign_new_vault(vault: KeyVault) -> None:
    """Sign a vault that was just stored: its address was typed here, or told by the cloud."""
    signed_saves.sign_new(claim_of_vault(vault), actor=SYSTEM)


def changing(credential: CloudCredential, *, actor: Actor) -> AbstractContextManager[None]:
    """Sign what the block changes of a credential's destination, within the transaction of the change.

    Raises:
        ConflictError: it was deleted.
        StrangeDestination: it is not as this console saved it.

    """
    return signed_saves.changing(partial(_find, credential), actor=actor)


def _find(credential: CloudCredential) -> Claim[CredentialFacts]:
    found = CloudCredential.objects.select_for_update().filter(pk=credential.pk).first()
    if found is None:
        raise ConflictError(_("“%(name)s” was deleted meanwhile.") % {"name": credential.name})
    return claim_of_credential(found)
