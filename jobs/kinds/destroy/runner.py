"""Destroy: erase key material here. The vault is not asked and not changed."""

from __future__ import annotations

from django.utils.translation import gettext as _

from jobs.choices import TargetState
from jobs.engine.cancellation import stop_if_requested
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import LIVE_VERSION_STATES
from kmes.core.errors import ConflictError
from logging_reports.choices import Severity


def run_destroy(run: JobRun) -> None:
    """Erase the wrapped private halves of the job's keys; their rows and public halves stay."""
    with step(run, "destroy_key"):
        for target in run.pending_targets():
            stop_if_requested(run)
            key = target.key
            try:
                with run.write() as tx:
                    key_lifecycle.destroy_key(key=key)
                    tx.record_result(target, TargetState.DONE)
                    tx.add_message(run.spec.wording.one_done(key.name))
                    if key.cloud_versions.filter(state__in=LIVE_VERSION_STATES).exists():
                        tx.add_message(
                            _("The version of %(key)s in the vault was not touched") % {"key": key.name},
                        )
                    tx.log("key.destroyed", f"Key {key.name} destroyed here", key=key)
            except ConflictError as error:
                with run.write() as tx:
                    tx.record_result(target, TargetState.FAILED, str(error))
                    tx.add_message(run.spec.wording.one_failed(key.name, str(error)), Severity.ERROR)


RUNNER = Runner(
    run=run_destroy,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
