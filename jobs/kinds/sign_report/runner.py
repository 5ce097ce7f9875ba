"""Sign a self-certification's report: check what is left in the vault, add it to the report, sign in the device."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError
from hsm.models import HsmDevice
from jobs.certifications.models import Certification
from jobs.certifications.report import build_report
from jobs.choices import KekState
from jobs.engine.gateways import gateway_for
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.kinds.vault_versions import list_all_versions
from jobs.models import EphemeralKek
from keygroups.choices import KeyState
from keygroups.models import KeyGroup
from kmes.core.errors import ConflictError


def run_sign_report(run: JobRun) -> None:
    """Complete and sign the report of the job's self-certification.

    Raises:
        DeviceError: the device can't sign.

    """
    certification = Certification.objects.filter(pk=UUID(run.job.params["certification_id"])).first()
    if certification is None:
        raise ConflictError(_("The self-certification no longer exists."))
    with step(run, "look"):
        left = _find_left_behind(run, certification)
    with step(run, "sign_report"):
        here = HsmDevice.objects.filter(serial=run.device().identity().serial).first()
        report = build_report(certification, device=here, left_behind=left)
        signed = run.device().sign_report(report.encode())
    with run.write() as tx:
        Certification.objects.filter(pk=certification.pk).update(
            report=report, signature=signed.signature, signer_spki=signed.public_spki, left_behind=left
        )
        for sentence in left:
            tx.add_message(sentence)
        tx.add_message(_("The report of %(number)s is signed") % {"number": certification})
        tx.log("device.report_signed", f"Report of {certification} signed")


def _find_left_behind(run: JobRun, certification: Certification) -> list[str]:
    """Return sentences on what is left in the vault and here, or on why the vault could not be checked."""
    group = certification.load_group()
    if group is None:
        return [_("The key group of this run no longer exists; the vault was not looked at.")]
    try:
        left = _left_in_vault(run, group)
    except CloudError as error:
        left = [
            _("The vault could not be looked at (%(why)s): look for the key “%(name)s” in it.")
            % {"why": error.what, "name": group.azure_name}
        ]
    open_keks = EphemeralKek.objects.filter(job__group=group, state__in=[KekState.PLANNED, KekState.LIVE])
    left += [_("Ephemeral KEK %(name)s; the hourly sweep removes it.") % {"name": kek.name} for kek in open_keks]
    present = group.keys.filter(state=KeyState.PRESENT).count()
    if present:
        left.append(_("%(count)d key(s) of the group “%(group)s” here.") % {"count": present, "group": group.name})
    left.append(
        _("The record of the key group “%(group)s” with its destroyed keys, as evidence.") % {"group": group.name}
    )
    return left


def _left_in_vault(run: JobRun, group: KeyGroup) -> list[str]:
    gateway = gateway_for(run, group.vault)
    gateway.get_token()
    versions = list_all_versions(gateway, group)
    if versions:
        return [
            _("The Azure key “%(name)s” with %(count)d version(s): delete it with Cloud > Delete on its key group.")
            % {"name": group.azure_name, "count": len(versions)}
        ]
    deleted = gateway.get_deleted(group.azure_name)
    if deleted is None:
        return []
    until = f"{deleted.scheduled_purge_on:%Y-%m-%d}" if deleted.scheduled_purge_on else _("the retention ends")
    return [
        _("The deleted Azure key “%(name)s”: it can be recovered until %(date)s, then Azure purges it.")
        % {"name": group.azure_name, "date": until}
    ]


RUNNER = Runner(
    run=run_sign_report,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
