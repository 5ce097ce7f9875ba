"""Test a credential: its token, Resource Manager and its permissions on a vault. Results go to both rows."""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds import tenants, vaults
from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.provider.errors import CloudErrorKind
from cloudcreds.provider.types import ProbeResult
from jobs.engine.gateways import gateway_for
from jobs.engine.interruptions import RightsMissing
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.engine.transaction import RunTransaction
from jobs.kinds.subjects import credential_of
from kmes.core.actor import Actor
from kmes.core.errors import KmesError
from logging_reports.choices import Severity


def run_test_connection(run: JobRun) -> None:
    """Try the token, Resource Manager, and each key permission on the job's vault.

    Each result is recorded as it comes, so that a page shows the test's progress.

    Raises:
        KmesError: a needed part failed; the credential's page shows each with what to do.

    """
    credential = credential_of(run)
    vault_id = run.job.params.get("vault_id")
    vault = KeyVault.objects.select_related("credential").filter(pk=vault_id).first() if vault_id else None
    results: list[ProbeResult] = []
    with step(run, "probe"):
        for result in gateway_for(run, vault).probe_permissions("kmes-probe"):
            results.append(result)
            with run.write() as tx:
                vaults.record_test(credential, vault, results, ok=None)
                tx.add_message(f"{result.name}: {_told(result)}".strip(), _severity(result))
                if tenant := result.facts.get("tenant_id"):
                    _record_tenant(tx, credential, str(tenant), actor=run.actor)
                tx.show_progress("probe", result.name)
    failed = [result for result in results if result.ok is False]
    with run.write():
        vaults.record_test(credential, vault, results, ok=not failed)
    if failed:
        raise _failure(failed, len(results))


def _told(result: ProbeResult) -> str:
    """Return what the log says of a check. The remedies of failed ones are in the failure, at the end of the log."""
    return result.text if result.ok is False else f"{result.text} {result.remedy}"


def _severity(result: ProbeResult) -> Severity:
    if result.ok is False:
        return Severity.ERROR
    return Severity.WARNING if result.kind else Severity.INFO


def _record_tenant(tx: RunTransaction, credential: CloudCredential, tenant_id: str, *, actor: Actor) -> None:
    """Put the tenant's id in the place of the domain that was typed for it."""
    if tenants.record_id(credential, tenant_id, actor=actor):
        tx.add_message(
            _("The tenant %(domain)s has the ID %(id)s; the credential names it by this ID from now on.")
            % {"domain": credential.tenant_id, "id": tenant_id}
        )


def _failure(failed: list[ProbeResult], total: int) -> KmesError:
    is_rights_only = all(result.kind == CloudErrorKind.PERMISSION for result in failed)
    return (RightsMissing if is_rights_only else KmesError)(
        _("%(count)d of %(total)d checks failed: %(names)s.")
        % {"count": len(failed), "total": total, "names": ", ".join(result.name for result in failed)},
        " ".join(dict.fromkeys(result.remedy for result in failed if result.remedy)),
        code="probe_failed",
    )


RUNNER = Runner(
    run=run_test_connection,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
