"""The certificates that credentials sign in with: stored, made here, taken into use.

A credential has at most one in use and one that waits to be registered in Entra. The functions that end in
``_within`` belong to a transaction of their caller, who has checked the right.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from cloudcreds import destinations, seals
from cloudcreds.azure.sign_in.certificate_files import UploadedCertificate, read_facts
from cloudcreds.choices import SignIn
from cloudcreds.models import CloudCredential, SignInCertificate
from hsm.types import DeviceCertificate
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from kmes.core.guarded_changes import require_approval
from logging_reports.services import Subject, record

# What no connection test says anything of any more.
UNTESTED: dict[str, Any] = {"last_test": [], "last_test_ok": None, "last_tested_at": None}
# A credential that signs in without a client secret keeps none.
NO_SECRET: dict[str, Any] = {"sealed_secret": b"", "sealed_for": [], "secret_set_at": None, "secret_id": ""}


def seal_uploaded(credential: CloudCredential, uploaded: UploadedCertificate, *, place: list[str]) -> SignInCertificate:
    """Return the row of an uploaded certificate, not yet stored, its key sealed for the designated device.

    Raises:
        DeviceError: no device is designated, or its MFK is not the pinned one; nothing is sealed.

    """
    row = SignInCertificate(credential=credential, is_in_use=True, **vars(uploaded.facts))
    seals.seal_key(row, uploaded.private_key, place=place)
    return row


def replace_within(credential: CloudCredential, row: SignInCertificate | None, *, actor: Actor) -> None:
    """Replace the certificate in use by another, or by none, and log both thumbprints."""
    old = credential.certificates.filter(is_in_use=True).defer("sealed_key", "wrapped_key").first()
    if old is not None:
        old.delete()
    if row is not None:
        row.is_in_use = True
        # Of one that waited only this changes: web may write no more of it.
        if not credential.certificates.filter(pk=row.pk).update(is_in_use=True):
            row.save(force_insert=True)
    before, after = str(old or ""), str(row or "")
    if before == after:
        return
    words = {
        (True, True): f"replaced: {before} by {after}",
        (False, True): f"in use: {after}",
        (True, False): f"removed: {before}",
    }
    record(
        "credential.certificate_changed",
        actor=actor,
        message=f"Certificate of cloud credential {credential.name} {words[bool(before), bool(after)]}",
        subject=Subject(credential_id=str(credential.pk), credential=credential.name),
        data={"old_thumbprint": before, "new_thumbprint": after},
    )


def keep_made_within(credential: CloudCredential, made: DeviceCertificate, *, actor: Actor) -> SignInCertificate:
    """Store a certificate that was made in the device.

    It waits to be registered in Entra, except for a credential that has nothing else to sign in with.

    Raises:
        ConflictError: the credential was deleted meanwhile.

    """
    with destinations.changing(credential, actor=actor):
        return _keep_made(_locked(credential), made, actor=actor)


def _keep_made(credential: CloudCredential, made: DeviceCertificate, *, actor: Actor) -> SignInCertificate:
    row = SignInCertificate(credential=credential, wrapped_key=made.wrapped_private, **vars(read_facts(made.pem)))
    row.is_in_use = (
        credential.sign_in == SignIn.DEVICE_CERTIFICATE and not credential.certificates.filter(is_in_use=True).exists()
    )
    credential.certificates.filter(is_in_use=False).delete()
    row.save()
    record(
        "credential.certificate_made",
        actor=actor,
        message=f"Certificate {row.thumbprint} made in the device for cloud credential {credential.name}",
        subject=Subject(credential_id=str(credential.pk), credential=credential.name),
        data={"thumbprint": row.thumbprint, "not_after": row.not_after.isoformat()},
    )
    if row.is_in_use:
        _write(credential, sign_in_expires_on=row.not_after.date())
    return row


def find_waiting(credential: CloudCredential) -> SignInCertificate | None:
    """Return the certificate that waits to be registered in Entra, without its key."""
    return credential.certificates.filter(is_in_use=False).defer("sealed_key", "wrapped_key").first()


def use_waiting(*, credential: CloudCredential, thumbprint: str, actor: Actor) -> None:
    """Let a credential sign in with the certificate that was made for it. What it signed in with before is removed.

    Raises:
        PermissionRefused: the actor may not manage credentials.
        ConflictError: there is no such certificate any more.
        ApprovalNeeded: a policy asks for approvals of another way to sign in. A renewed certificate needs none.

    """
    check(actor, Right.CREDENTIAL_MANAGE)
    with transaction.atomic(), destinations.changing(credential, actor=actor):
        credential = _locked(credential)
        row = credential.certificates.filter(is_in_use=False, thumbprint=thumbprint).first()
        if row is None:
            raise ConflictError(
                _("The certificate is no longer waiting to be used."), _("Check the credential's page.")
            )
        if credential.sign_in != SignIn.DEVICE_CERTIFICATE:
            asked = {"credential": str(credential.pk), "thumbprint": thumbprint}
            require_approval("credential.use_certificate", asked, actor=actor)
            record(
                "credential.updated",
                actor=actor,
                message=f"Cloud credential {credential.name} updated",
                subject=Subject(credential_id=str(credential.pk), credential=credential.name),
                data={"changed": {"sign_in": [credential.sign_in, SignIn.DEVICE_CERTIFICATE.value]}},
            )
        replace_within(credential, row, actor=actor)
        _write(
            credential,
            sign_in=SignIn.DEVICE_CERTIFICATE,
            sign_in_expires_on=row.not_after.date(),
            **NO_SECRET,
            **UNTESTED,
        )


def _locked(credential: CloudCredential) -> CloudCredential:
    """Return the credential as it is now; nobody else exchanges its certificate before the transaction ends."""
    found = CloudCredential.objects.select_for_update().defer("sealed_secret").filter(pk=credential.pk).first()
    if found is None:
        raise ConflictError(_("“%(name)s” was deleted meanwhile.") % {"name": credential.name})
    return found


def _write(credential: CloudCredential, **changes: Any) -> None:
    CloudCredential.objects.filter(pk=credential.pk).update(
        **changes, updated_at=now(), lock_version=F("lock_version") + 1
    )
