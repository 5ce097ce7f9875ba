"""List the vaults that a credential can see. Results go to the rows of the vaults."""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds import vaults
from jobs.engine.gateways import gateway_for
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.kinds.subjects import credential_of
from logging_reports.choices import Severity


def run_list_vaults(run: JobRun) -> None:
    """Ask Resource Manager for the vaults, and record them as choices for key groups."""
    credential = credential_of(run)
    with step(run, "list_vaults"):
        found = gateway_for(run, None).list_vaults()
    with run.write() as tx:
        for info in found.vaults:
            if not vaults.can_keep(info):
                tx.add_message(_("Skipped a vault whose address is too long or unreadable"), Severity.WARNING)
                continue
            vaults.record_listed(credential, info)
            tx.add_message(_("Found vault %(name)s (%(tier)s)") % {"name": info.name, "tier": info.tier})
        for text in found.unread:
            tx.add_message(text, Severity.WARNING)
        if not found.vaults and not found.unread:
            tx.add_message(
                _("No vault is visible: give the app registration the role Reader on the vaults, or type the URL"),
                Severity.WARNING,
            )


RUNNER = Runner(
    run=run_list_vaults,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
