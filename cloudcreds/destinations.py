"""What marks and signatures cover of a cloud credential, and the signature of whoever saves one. Knows no device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.utils.translation import gettext as _

from cloudcreds.choices import CERTIFICATE_KINDS
from cloudcreds.models import CloudCredential
from hsm.marks import CredentialFacts, digest
from hsm.signed_saves import newest_number, require_own, sign_save
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from logging_reports.services import Subject, record

SAVED = "credential.destination_saved"
# What the log says of a credential's destination. What is sealed is named by its digest, and called by its column.
_SHOWN = ("cloud", "tenant_id", "client_id", "sign_in", "authority_url", "arm_url")
_SEALED = {"secret": "client secret", "certificate": "certificate", "certificate_key": "certificate's key"}


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


def show(facts: CredentialFacts) -> dict[str, str]:
    """Return a destination as the log names it."""
    return {name: getattr(facts, name) for name in _SHOWN if getattr(facts, name)}


def sign_new(credential: CloudCredential, *, actor: Actor) -> None:
    """Sign a new credential, within the transaction that stores it and its certificate."""
    _sign(credential, None, facts_of_credential(credential), actor=actor)


@contextmanager
def changing(credential: CloudCredential, *, actor: Actor) -> Iterator[None]:
    """Sign what the block changes of a credential's destination, within the transaction of the change.

    A credential of an earlier release stays unsigned.

    Raises:
        ConflictError: it was deleted.
        StrangeDestination: it is not as this console saved it.

    """
    before = CloudCredential.objects.select_for_update().filter(pk=credential.pk).first()
    if before is None:
        raise ConflictError(_("The cloud credential was deleted meanwhile."))
    old = facts_of_credential(before)
    yield
    after = CloudCredential.objects.get(pk=credential.pk)
    new = facts_of_credential(after)
    if new != old and require_own(before, old, name=before.name):
        _sign(after, old, new, actor=actor)


def _sign(credential: CloudCredential, old: CredentialFacts | None, new: CredentialFacts, *, actor: Actor) -> None:
    number = newest_number(new) + 1
    sign_save(credential, new, number=number)
    credential.save(update_fields=["mark_number", "mark", "save_signer", "save_signature"])
    data: dict[str, Any] = {"number": number, "old": show(old) if old else {}, "new": show(new)}
    if old is not None:
        data["exchanged"] = [word for name, word in _SEALED.items() if getattr(old, name) != getattr(new, name)]
    record(
        SAVED,
        actor=actor,
        message=f"Destination of cloud credential {credential.name} saved and signed",
        subject=Subject(credential_id=str(credential.pk), credential=credential.name),
        data=data,
    )
