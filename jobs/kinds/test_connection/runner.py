"""Test a credential, and list the vaults it can see. Results go to the rows of credential and vault."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext as _

from cloudcreds.choices import VaultTier
from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.provider.types import ProbeResult, VaultInfo
from jobs.engine.run import JobRun
from kmes.core.clock import now
from kmes.core.errors import ConflictError, KmesError
from logging_reports.choices import Severity

TIERS = {"premium": VaultTier.PREMIUM, "standard": VaultTier.STANDARD}


def _credential(run: JobRun) -> CloudCredential:
    if run.job.credential is None:
        raise ConflictError(_("The cloud credential no longer exists."))
    return run.job.credential


def run_test_connection(run: JobRun) -> None:
    """Try the token, Resource Manager, and each key permission on the job's vault.

    Each result is written down as it comes, so that a page shows the test grow.

    Raises:
        KmesError: a needed part failed; the credential's page shows each with what to do.

    """
    credential = _credential(run)
    vault_id = run.job.params.get("vault_id")
    vault = KeyVault.objects.select_related("credential").filter(pk=vault_id).first() if vault_id else None
    results: list[ProbeResult] = []
    with run.step("probe"):
        for result in run.gateway(vault).probe_permissions("kmes-probe"):
            results.append(result)
            with run.write():
                _keep(credential, vault, results, ok=None)
                run.say(f"{result.name}: {result.text} {result.remedy}".strip(), _severity(result))
                run.show_progress("probe", result.name)
    failed = [result for result in results if result.ok is False]
    with run.write():
        _keep(credential, vault, results, ok=not failed)
        if vault is not None:
            _note_facts(vault, results)
    if failed:
        raise _failure(failed, len(results))


def _severity(result: ProbeResult) -> Severity:
    return Severity.WARNING if result.ok is False or result.kind else Severity.INFO


def _keep(credential: CloudCredential, vault: KeyVault | None, results: list[ProbeResult], *, ok: bool | None) -> None:
    """Write down what was found so far; ``ok`` is None until the test has ended."""
    found, moment = [asdict(result) for result in results], now()
    rows: list[Any] = [CloudCredential.objects.filter(pk=credential.pk)]
    if vault is not None:
        rows.append(KeyVault.objects.filter(pk=vault.pk))
    for row in rows:
        row.update(last_test=found, last_test_ok=ok, last_tested_at=moment)


def _note_facts(vault: KeyVault, results: list[ProbeResult]) -> None:
    """Keep what the test learned of the vault: that it answered, its tier, its recovery level."""
    facts = {name: value for result in results for name, value in result.facts.items()}
    if facts:
        KeyVault.objects.filter(pk=vault.pk).update(**facts, seen_at=now())


def _failure(failed: list[ProbeResult], total: int) -> KmesError:
    return KmesError(
        _("%(count)d of %(total)d checks failed: %(names)s.")
        % {"count": len(failed), "total": total, "names": ", ".join(result.name for result in failed)},
        " ".join(dict.fromkeys(result.remedy for result in failed if result.remedy)),
        code="probe_failed",
    )


def run_list_vaults(run: JobRun) -> None:
    """Ask Resource Manager for the vaults and keep them as choices for key groups."""
    credential = _credential(run)
    with run.step("list_vaults"):
        found = run.gateway(None).list_vaults()
    with run.write():
        for info in found.vaults:
            _keep_vault(credential, info)
            run.say(_("Found vault %(name)s (%(tier)s)") % {"name": info.name, "tier": info.tier})
        for text in found.unread:
            run.say(text, Severity.WARNING)
        if not found.vaults:
            run.say(
                _("No vault is visible: give the app registration the role Reader on the vaults, or type the URL"),
                Severity.WARNING,
            )


def _keep_vault(credential: CloudCredential, info: VaultInfo) -> None:
    url = info.url.rstrip("/")
    vault = KeyVault.objects.filter(credential=credential, url__iexact=url).first() or KeyVault(
        credential=credential, url=url
    )
    vault.name, vault.tier, vault.seen_at = info.name, TIERS.get(info.tier.lower(), VaultTier.UNKNOWN), now()
    vault.recovery_level = info.recovery_level
    vault.recoverable_days = info.recoverable_days
    vault.save()
