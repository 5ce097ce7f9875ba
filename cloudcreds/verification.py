"""Verifies a destination in the device before a job uses it, and lets the device mark what was saved here.

Workers only. What is verified is what the caller uses: facts, not rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from cloudcreds.destinations import facts_of_credential, show
from cloudcreds.models import CloudCredential
from hsm.device import get_device
from hsm.mark_checks import Claim, MarkError, check_destination
from hsm.marks import CredentialFacts, encode
from hsm.signed_saves import is_signed, newest_number, sign_save
from hsm.verified import VerifiedDestination
from kmes.core.actor import SYSTEM, Actor
from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.services import Subject, record

AUTHORIZED = "credential.authorized"


@dataclass(frozen=True)
class Use:
    """For what a destination is used: whose work, and of which job."""

    actor: Actor = SYSTEM
    job_id: UUID | None = None
    job_code: str = ""


def verify(credential: CloudCredential, use: Use) -> tuple[CloudCredential, VerifiedDestination]:
    """Return the credential as it is verified, and what was verified.

    What this console saved since the last use is marked first, with a row of the log. A row that does not hold is read
    once more: somebody may have saved it since it was read.

    Raises:
        MarkError: the row is not as this console saved it, or an earlier release made it.
        DeviceError: the device can't serve.

    """
    try:
        return credential, _check(credential, use)
    except MarkError:
        fresh = CloudCredential.objects.filter(pk=credential.pk).first()
        if fresh is None:
            raise
        return fresh, _check(fresh, use)


def _check(credential: CloudCredential, use: Use) -> VerifiedDestination:
    facts = facts_of_credential(credential)
    if not credential.mark and is_signed(credential, facts):
        _mark(credential, facts, use)
    destination = check_destination(get_device(), credential=Claim(credential.name, facts, credential))
    if not is_signed(credential, facts):
        _sign_again(credential, facts)
    return destination


def _sign_again(credential: CloudCredential, facts: CredentialFacts) -> None:
    """Sign what the device marked before, where the key that signed it was exchanged: it may then be changed here."""
    mark = bytes(credential.mark)
    sign_save(credential, facts, number=credential.mark_number)
    credential.mark = mark
    same = CloudCredential.objects.filter(pk=credential.pk, mark_number=credential.mark_number, mark=mark)
    same.update(save_signer=credential.save_signer, save_signature=credential.save_signature)


def _mark(credential: CloudCredential, facts: CredentialFacts, use: Use) -> None:
    """Let the device mark a saved destination, and log which one took the place of which."""
    (mark,) = get_device().mark([encode(facts, number=credential.mark_number)])
    with transaction.atomic():
        # Another worker may have done the same meanwhile; or somebody saved again.
        same = CloudCredential.objects.filter(pk=credential.pk, mark_number=credential.mark_number, mark=b"")
        if same.update(mark=mark):
            _record(credential, facts, use)
    credential.mark = mark


def is_own(credential: CloudCredential) -> bool:
    """Return whether the device acts on a credential: it carries the mark, or will because its save was signed here.

    Raises:
        DeviceError: the device can't serve.

    """
    facts = facts_of_credential(credential)
    if not credential.mark:
        return is_signed(credential, facts)
    try:
        check_destination(get_device(), credential=Claim(credential.name, facts, credential))
    except MarkError:
        return False
    return True


def mark_anew(credential: CloudCredential) -> Callable[[Actor], None]:
    """Let the device mark a credential as it was read, for an administrator who compared it. Return what stores it.

    A row that was changed since it was read keeps a mark that does not hold.

    Raises:
        DeviceError: the device can't serve.

    """
    facts = facts_of_credential(credential)
    sign_save(credential, facts, number=max(newest_number(facts), credential.mark_number) + 1)
    (credential.mark,) = get_device().mark([encode(facts, number=credential.mark_number)])

    def store(actor: Actor) -> None:
        credential.save(update_fields=["mark_number", "mark", "save_signer", "save_signature"])
        _record(credential, facts, Use(actor))

    return store


def _record(credential: CloudCredential, facts: CredentialFacts, use: Use) -> None:
    record(
        AUTHORIZED,
        actor=use.actor,
        message=f"Destination of cloud credential {credential.name} marked by the device",
        subject=Subject(credential_id=str(credential.pk), credential=credential.name),
        job_id=use.job_id,
        job_code=use.job_code,
        data={"number": credential.mark_number, "old": _last_authorized(credential), "new": show(facts)},
    )


def _last_authorized(credential: CloudCredential) -> object:
    rows = LogEntry.objects.filter(service=Service.AUDIT, event=AUTHORIZED, credential_id=str(credential.pk))
    found = rows.order_by("-sequence").values_list("data", flat=True).first()
    return found.get("new", {}) if isinstance(found, dict) else {}
