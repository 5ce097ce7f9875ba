"""Test a credential, and list the vaults it can see. Results go to the credential's rows."""

from __future__ import annotations

from dataclasses import asdict

from django.utils.translation import gettext as _

from cloudcreds.choices import VaultTier
from cloudcreds.models import CloudCredential, KeyVault
from jobs.context import JobRun
from kmes.core.clock import now
from kmes.core.errors import ConflictError, KmesError
from logging_reports.choices import Severity


def _credential(run: JobRun) -> CloudCredential:
    if run.job.credential is None:
        raise ConflictError(_("The cloud credential no longer exists."))
    return run.job.credential


def run_test_connection(run: JobRun) -> None:
    """Try the token, Resource Manager, and each key permission on the job's vault.

    Raises:
        KmesError: a needed part failed; the credential's page shows each with what to do.

    """
    credential = _credential(run)
    vault_id = run.job.params.get("vault_id")
    vault = KeyVault.objects.filter(pk=vault_id).first() if vault_id else None
    with run.step("probe"):
        results = run.gateway(vault).probe_permissions("kmes-probe")
    failed = [result for result in results if result.ok is False]
    with run.write():
        CloudCredential.objects.filter(pk=credential.pk).update(
            last_test=[asdict(result) for result in results], last_test_ok=not failed, last_tested_at=now()
        )
        for result in results:
            text = f"{result.name}: {result.text} {result.remedy}".strip()
            run.say(text, Severity.INFO if result.ok else Severity.WARNING)
    if failed:
        raise KmesError(
            _("%(count)d of %(total)d checks failed: %(names)s.")
            % {
                "count": len(failed),
                "total": len(results),
                "names": ", ".join(result.name for result in failed),
            },
            " ".join(dict.fromkeys(result.remedy for result in failed if result.remedy)),
            code="probe_failed",
        )


def run_list_vaults(run: JobRun) -> None:
    """Ask Resource Manager for the vaults and keep them as choices for key groups."""
    credential = _credential(run)
    with run.step("list_vaults"):
        found = run.gateway(None).list_vaults()
    tiers = {"premium": VaultTier.PREMIUM, "standard": VaultTier.STANDARD}
    with run.write():
        for info in found:
            url = info.url.rstrip("/")
            vault = KeyVault.objects.filter(credential=credential, url__iexact=url).first() or KeyVault(
                credential=credential, url=url
            )
            vault.name, vault.tier, vault.seen_at = info.name, tiers.get(info.tier.lower(), VaultTier.UNKNOWN), now()
            vault.save()
            run.say(_("Found vault %(name)s (%(tier)s)") % {"name": info.name, "tier": info.tier})
        if not found:
            run.say(
                _("No vault is visible: give the app registration the role Reader on the vaults, or type the URL"),
                Severity.WARNING,
            )
