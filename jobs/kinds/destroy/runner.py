"""Destroy: erase key material here. The vault is not asked and not changed."""

from __future__ import annotations

from django.utils.translation import gettext as _

from jobs.choices import TargetState
from jobs.engine.run import JobRun
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import LIVE_VERSION_STATES
from kmes.core.errors import ConflictError
from logging_reports.choices import Severity


def run_destroy(run: JobRun) -> None:
    """Erase the wrapped private halves of the job's keys; their rows and public halves stay."""
    with run.step("destroy_key"):
        for target in run.pending_targets():
            run.checkpoint()
            key = target.key
            try:
                with run.write():
                    key_lifecycle.destroy_key(key=key)
                    run.settle(target, TargetState.DONE)
                    run.say(run.spec.wording.one_done(key.name))
                    if key.cloud_versions.filter(state__in=LIVE_VERSION_STATES).exists():
                        run.say(
                            _("The version of %(key)s in the vault was not touched") % {"key": key.name},
                        )
                    run.log("key.destroyed", f"Key {key.name} destroyed here", key=key)
            except ConflictError as error:
                with run.write():
                    run.settle(target, TargetState.FAILED, str(error))
                    run.say(run.spec.wording.one_failed(key.name, str(error)), Severity.ERROR)
