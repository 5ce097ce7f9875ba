"""Asking for a self-certification: a temporary key group in a vault, and the first job of the cycle."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from cloudcreds.choices import VaultTier
from cloudcreds.models import KeyVault
from hsm.services import designated_device
from jobs.certifications.checklist import CHECKS
from jobs.certifications.models import Certification, CertificationStep
from jobs.certifications.progress import advance
from jobs.certifications.signatures import sign_certification
from jobs.choices import CertificationState
from keygroups.choices import KeyUsage, PeriodUnit
from keygroups.guarded_changes import DESTINATIONS
from keygroups.services import create_group, subject_of
from keygroups.values import GroupValues
from kmes.accounts.rights import Right, check
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, InputError
from kmes.core.guarded_changes import approvals_needed
from kmes.core.ids import new_job_code
from logging_reports.services import record


def request_certification(*, vault: KeyVault, key_spec: str, actor: Actor, idempotency_key: str = "") -> Certification:
    """Begin the whole cycle on a temporary key group in a vault; it goes on by itself.

    Raises:
        PermissionRefused: the actor may not run self-certifications.
        DeviceError: no device is designated.
        InputError: the vault is of the Standard tier (field "vault"), or there is no such key type.
        ConflictError: another run is under way in this vault, or a policy asks for approvals of new key groups.

    """
    check(actor, Right.DEVICE_MANAGE)
    designated_device()
    earlier = Certification.objects.filter(idempotency_key=idempotency_key).first() if idempotency_key else None
    if earlier is not None:
        return earlier
    if approvals_needed(DESTINATIONS):
        raise ConflictError(
            _("A policy asks for approvals of new key groups, and a self-certification makes one."),
            _("End the policy on Approval policies for as long as the self-certification runs."),
        )
    if vault.tier == VaultTier.STANDARD:
        raise InputError(
            _("The vault is of the Standard tier, which holds no HSM keys."),
            _("Choose a vault of the Premium tier."),
            field="vault",
        )
    try:
        with transaction.atomic():
            return _begin(vault, key_spec, actor, idempotency_key)
    except IntegrityError:
        busy = Certification.objects.filter(vault=vault, state=CertificationState.RUNNING).first()
        if busy is None:
            raise
        raise ConflictError(
            _("Self-certification %(code)s is under way in this vault.") % {"code": busy}, _("Wait until it has ended.")
        ) from None


def _begin(vault: KeyVault, key_spec: str, actor: Actor, idempotency_key: str) -> Certification:
    code = new_job_code()
    with language.of_records():
        values = _template(vault, key_spec, code)
    group = create_group(values=values, actor=actor)
    certification = Certification(
        code=code,
        vault=vault,
        vault_name=vault.name,
        group=group,
        key_spec=group.key_spec,
        actor_name=actor.name,
        requested_by_id=actor.user_id,
        idempotency_key=idempotency_key or None,
    )
    sign_certification(certification)
    certification.save(force_insert=True)
    CertificationStep.objects.bulk_create(
        CertificationStep(certification=certification, ordinal=ordinal, name=step.name)
        for ordinal, step in enumerate(CHECKS, 1)
    )
    record(
        "certification.requested",
        actor=actor,
        message=f"Self-certification {certification} on vault {vault.name} requested",
        subject=subject_of(group),
    )
    with language.of_records():
        advance(certification.pk)
    return certification


def _template(vault: KeyVault, key_spec: str, code: str) -> GroupValues:
    """Return the temporary group: never rotated by itself, and what is left of it expires within a day."""
    return GroupValues(
        name=f"self-certification {code}",
        credential=vault.credential,
        vault=vault.url,
        key_spec=key_spec,
        azure_name=f"kmes-cert-{code.lower()}",
        usage=(KeyUsage.SIGN,),
        rotate=False,
        valid_for=1,
        valid_unit=PeriodUnit.DAYS,
        notes=_("Made by a self-certification. Its keys are thrown away; the record stays as evidence."),
    )
