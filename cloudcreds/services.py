"""Creates, changes and deletes cloud credentials. Seals each secret and private key as it arrives; can open none.

Each function checks the right, writes in one transaction with its log row, and raises KmesError.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, ProtectedError
from django.utils.translation import gettext as _

from cloudcreds import certificates, destinations, seals
from cloudcreds.choices import CERTIFICATE_KINDS, SignIn
from cloudcreds.models import CloudCredential
from cloudcreds.values import CredentialChangedError, CredentialValues, differences, readable
from hsm.signed_saves import next_number
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError
from kmes.core.guarded_changes import require_approval
from logging_reports.services import Subject, record

# A refusal names so many objects, and the number of the others.
NAMES_SHOWN = 10
# These decide where the secret is sent. A change requires the secret, so that nobody can redirect a stored one.
_DESTINATION_FIELDS = frozenset({"cloud", "authority_url", "arm_url"})

# They say to whom the credential signs in, and as whom: a change of them is what a policy is about.
APPROVED_FIELDS = _DESTINATION_FIELDS | {"tenant_id", "client_id", "sign_in"}


def subject_of(credential: CloudCredential, *, vault: str = "") -> Subject:
    """Return the plain labels a log row about this credential carries."""
    return Subject(credential_id=str(credential.pk), credential=credential.name, vault=vault)


def create_credential(*, values: CredentialValues, actor: Actor) -> CloudCredential:
    """Store a new credential with its secret sealed for the designated device.

    Raises:
        PermissionRefused: the actor may not manage credentials.
        InputError: a value can't be used; ``field`` names it.
        DeviceError: no device is designated, or its MFK is not the pinned one, so nothing can be sealed.

    """
    check(actor, Right.CREDENTIAL_MANAGE)
    values = values.cleaned()
    _need_proof(values)
    # The seal is bound to the row's id, so the id is made before the row.
    credential = CloudCredential(**values.plain())
    place = seals.place_of(credential)
    if values.secret is not None:
        credential.sealed_for, credential.secret_set_at = place, now()
        credential.sealed_secret = seals.seal_secret(credential, values.secret, place=place)
    certificate = (
        certificates.seal_uploaded(credential, values.certificate, place=place) if values.certificate else None
    )
    _refuse_taken_name(values.name)
    try:
        with transaction.atomic():
            require_approval("credential.create", _as_json(values), actor=actor)
            credential.save(force_insert=True)
            if certificate is not None:
                certificate.save()
            destinations.sign_new(credential, actor=actor)
            record(
                "credential.created",
                actor=actor,
                message=f"Cloud credential {credential.name} created",
                subject=subject_of(credential),
                data=readable(values.plain()) | ({"thumbprint": str(certificate)} if certificate else {}),
            )
    except IntegrityError as error:
        raise _name_taken() from error
    return credential


def update_credential(
    *, credential: CloudCredential, values: CredentialValues, lock_version: int, actor: Actor
) -> CloudCredential:
    """Change a credential that nobody changed since ``lock_version``; return the new row.

    A changed identity or secret removes the last connection test.

    Raises:
        PermissionRefused: the actor may not manage credentials.
        InputError: a value can't be used; ``field`` names it.
        CredentialChangedError: somebody else saved it meanwhile; nothing is overwritten.
        StrangeDestination: its row is not as this console saved it.
        DeviceError: a new secret came, and no device is designated or its MFK is not the pinned one.

    """
    check(actor, Right.CREDENTIAL_MANAGE)
    values = values.cleaned()
    current = _current(credential)
    if values.sign_in in CERTIFICATE_KINDS and values.certificate is None:
        # The certificate that is stored says when it expires.
        values = replace(values, sign_in_expires_on=current.sign_in_expires_on)
    if current.lock_version != lock_version:
        raise CredentialChangedError(current, differences(current, values))
    changed = {name: value for name, value in values.plain().items() if getattr(current, name) != value}
    if not changed and values.secret is None and values.certificate is None:
        return current
    _check_changes(current, values, changed)
    writes = _writes_of(current, values, changed)
    place = seals.place_of(current, changed)
    certificate = certificates.seal_uploaded(current, values.certificate, place=place) if values.certificate else None
    try:
        with transaction.atomic():
            if changed.keys() & APPROVED_FIELDS:
                asked = {"credential": str(current.pk), "lock_version": lock_version, **_as_json(values)}
                require_approval("credential.update", asked, actor=actor)
            with destinations.changing(current, actor=actor):
                _write(current, writes, lock_version, values)
                if "cloud" in changed:
                    current.vaults.all().delete()
                _record_update(current, values, changed, actor)
                if certificate is not None or "sign_in" in changed:
                    certificates.replace_within(current, certificate, actor=actor)
    except ProtectedError as error:
        raise InputError(
            _("The cloud can't change: records still refer to key vaults of the current one."),
            _("Add another credential for the other cloud."),
            field="cloud",
        ) from error
    except IntegrityError as error:
        raise _name_taken() from error
    current.refresh_from_db()
    return current


def delete_credential(*, credential: CloudCredential, actor: Actor) -> None:
    """Delete a credential with its sealed secret and its list of vaults. Nothing in Azure is touched.

    Raises:
        PermissionRefused: the actor may not manage credentials.
        ConflictError: key groups, unfinished jobs or the records of pushed versions need it.

    """
    check(actor, Right.CREDENTIAL_MANAGE)
    if reason := refusal_to_delete(credential):
        raise ConflictError(reason, _("Give these key groups another credential, or delete them first."))
    subject, facts = subject_of(credential), destinations.facts_of_credential(credential)
    try:
        with transaction.atomic():
            credential.vaults.all().delete()
            deleted, _rows = CloudCredential.objects.filter(pk=credential.pk).delete()
            if not deleted:
                raise ConflictError(_("The credential was deleted already."))
            record(
                "credential.deleted",
                actor=actor,
                message=f"Cloud credential {subject.credential} deleted",
                subject=subject,
                # So that its row can't be put back.
                data={"number": next_number(facts)},
            )
    except ProtectedError as error:
        raise ConflictError(
            _("“%(name)s” can't be deleted: records still refer to its key vaults (%(records)s).")
            % {"name": credential.name, "records": _names(error.protected_objects)},
            _("They are kept as evidence of what was pushed. Rename the credential if it is out of use."),
        ) from error


def refusal_to_delete(credential: CloudCredential) -> str:
    """Return why the credential can't be deleted, naming the key groups that use it; "" when it can."""
    groups = _names_of_groups(credential)
    if not groups:
        return ""
    return _("“%(name)s” is used by the key groups: %(groups)s.") % {"name": credential.name, "groups": groups}


def _names_of_groups(credential: CloudCredential) -> str:
    """Return the names of the first key groups of a credential, and the number of the others; "" for none."""
    names = credential.groups.order_by("name").values_list("name", flat=True)
    shown = list(names[: NAMES_SHOWN + 1])
    # Counted only when there are more than are named.
    return _names(shown, count=names.count() if len(shown) > NAMES_SHOWN else len(shown))


def _as_json(values: CredentialValues) -> dict[str, Any]:
    """Return what a request for approval holds: no secret, but which certificate comes with it."""
    certificate = values.certificate.facts.thumbprint_sha256 if values.certificate else ""
    return {**readable(values.plain()), "certificate": certificate, "has_secret": values.secret is not None}


def _writes_of(current: CloudCredential, values: CredentialValues, changed: dict[str, Any]) -> dict[str, Any]:
    """Return the columns to write, with a new secret sealed."""
    writes: dict[str, Any] = dict(changed)
    if values.secret is not None:
        place = seals.place_of(current, changed)
        sealed = seals.seal_secret(current, values.secret, place=place)
        writes |= {"sealed_secret": sealed, "sealed_for": place, "secret_set_at": now()}
        # The former id would name another secret.
        writes.setdefault("secret_id", "")
    elif "sign_in" in changed:
        writes |= certificates.NO_SECRET
    has_new_proof = values.secret is not None or values.certificate is not None
    if has_new_proof or changed.keys() - {"name", "secret_id", "sign_in_expires_on"}:
        writes |= certificates.UNTESTED
    return writes


def _need_proof(values: CredentialValues) -> None:
    """Refuse values that lack what their way to sign in needs."""
    if values.sign_in == SignIn.SECRET and values.secret is None:
        raise InputError(_("The client secret is missing."), _("Paste the secret's Value."), field="secret")
    if values.sign_in == SignIn.CERTIFICATE and values.certificate is None:
        raise InputError(
            _("The certificate is missing."),
            _("Upload a PEM or PFX file with the certificate and its private key."),
            field="certificate_file",
        )


def _current(credential: CloudCredential) -> CloudCredential:
    try:
        return CloudCredential.objects.get(pk=credential.pk)
    except CloudCredential.DoesNotExist:
        raise ConflictError(_("“%(name)s” was deleted meanwhile.") % {"name": credential.name}) from None


def _check_changes(current: CloudCredential, values: CredentialValues, changed: dict[str, Any]) -> None:
    """Refuse changes that would break key groups, end the sign-in, or send a stored secret elsewhere."""
    if "name" in changed:
        _refuse_taken_name(values.name, except_for=current)
    if "sign_in" in changed:
        _need_proof(values)
        if values.sign_in == SignIn.DEVICE_CERTIFICATE:
            raise InputError(
                _("A certificate made here has to be registered in Entra before this credential can sign in with it."),
                _("Leave this field as it is. Choose Make Certificate in the credential's menu, then Use Certificate."),
                field="sign_in",
            )
    if changed.keys() & _DESTINATION_FIELDS and values.sign_in == SignIn.SECRET and values.secret is None:
        raise InputError(
            _("The client secret is needed again, because the place it is sent to changes."),
            _("Paste the secret's Value."),
            field="secret",
        )
    if "cloud" in changed and (groups := _names_of_groups(current)):
        raise InputError(
            _("The cloud can't change while key groups push through this credential: %(groups)s.") % {"groups": groups},
            _("Add another credential for the other cloud."),
            field="cloud",
        )


def _write(current: CloudCredential, writes: dict[str, Any], lock_version: int, values: CredentialValues) -> None:
    """Write if nobody else did since ``lock_version``, in one conditional UPDATE."""
    won = CloudCredential.objects.filter(pk=current.pk, lock_version=lock_version).update(
        **writes, updated_at=now(), lock_version=F("lock_version") + 1
    )
    if not won:
        stored = _current(current)
        raise CredentialChangedError(stored, differences(stored, values))


def _record_update(before: CloudCredential, values: CredentialValues, changed: dict[str, Any], actor: Actor) -> None:
    """Log the change of plain values and that of the secret as two events, never the secret itself."""
    subject = replace(subject_of(before), credential=values.name)
    if changed:
        old = readable({name: getattr(before, name) for name in changed})
        new = readable(changed)
        record(
            "credential.updated",
            actor=actor,
            message=f"Cloud credential {values.name} updated",
            subject=subject,
            data={"changed": {name: [old[name], new[name]] for name in changed}},
        )
    if values.secret is not None:
        record(
            "credential.secret_changed",
            actor=actor,
            message=f"Client secret of cloud credential {values.name} changed",
            subject=subject,
        )


def _refuse_taken_name(name: str, *, except_for: CloudCredential | None = None) -> None:
    others = CloudCredential.objects.filter(name__iexact=name)
    if except_for is not None:
        others = others.exclude(pk=except_for.pk)
    if others.exists():
        raise _name_taken()


def _name_taken() -> InputError:
    return InputError(
        _("A cloud credential of this name exists already."),
        _("Choose another name; upper and lower case make no difference."),
        field="name",
    )


def _names(objects: Iterable[object], *, count: int | None = None) -> str:
    """Return the names in one line, and beyond the limit the number of the others; ``count``: of all, if known."""
    names = [str(each) for each in objects]
    more = (len(names) if count is None else count) - NAMES_SHOWN
    text = ", ".join(names[:NAMES_SHOWN])
    return text if more <= 0 else _("%(names)s and %(count)d more") % {"names": text, "count": more}
