"""Test a credential: its token, Resource Manager and its permissions on a vault. Results go to both rows."""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds import vaults
from cloudcreds.models import KeyVault
from cloudcreds.provider.types import ProbeResult
from jobs.engine.gateways import gateway_for
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.kinds.subjects import credential_of
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
                tx.add_message(f"{result.name}: {result.text} {result.remedy}".strip(), _severity(result))
                tx.show_progress("probe", result.name)
    failed = [result for result in results if result.ok is False]
    with run.write():
        vaults.record_test(credential, vault, results, ok=not failed)
    if failed:
        raise _failure(failed, len(results))


def _severity(result: ProbeResult) -> Severity:
    return Severity.WARNING if result.ok is False or result.kind else Severity.INFO


def _failure(failed: list[ProbeResult], total: int) -> KmesError:
    return KmesError(
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
