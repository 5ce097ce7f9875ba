"""Check drift: compare what is known here with what the vault holds. Changes nothing in the vault."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.confirmation.forms import plain_form
from jobs.confirmation.plan import Plan, vault_facts
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.planning import blockers
from jobs.planning.menus import on_group
from jobs.planning.requests import retry_on_group
from jobs.spec import Confirmation, Given, JobSpec, Scope, Step, Wording, leaves_nothing
from keygroups.models import KeyGroup
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor

KIND = "check_drift"
# Written into the data of a log row about a version that nobody here made, for those who filter the log.
UNMANAGED = "unmanaged"


def request_check_drift(
    *,
    group: KeyGroup,
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    part_of: Job | None = None,
) -> Job:
    """Ask for what the vault holds to be compared with what is known here."""
    check(actor, Right.KEY_PUSH, group)
    new = NewJob(KIND, group.name, group=group, retry_of=retry_of, part_of=part_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def _plan(target: StartTarget) -> Plan:
    group = target.the_group
    return Plan(
        title=_("Check drift of %(group)s") % {"group": group.name},
        button=_("Check drift"),
        back=group.get_absolute_url(),
        facts=vault_facts(group),
        effects=[
            _("The versions in the vault are read and compared with what is known here."),
            _("Nothing is changed in the vault; differences show on the key group, with what can be done about each."),
        ],
        obstacle=blockers.why_not_check_drift(group),
    )


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    return request_check_drift(group=target.the_group, **given)


CHECK_DRIFT = JobSpec(
    kind=KIND,
    title=gettext_lazy("Check cloud drift"),
    right=Right.KEY_PUSH,
    wording=Wording("Checking", "Checked", "check"),
    # It counts versions, in lines of its own.
    counts_keys=False,
    steps=(Step("compare", gettext_lazy("Compare with the vault")),),
    scope=Scope.NO_KEY,
    holds_azure_key=True,
    blocks_group=True,
    pushes_keys=False,
    failpoints=KIND,
    menu=(on_group(KIND, gettext_lazy("Check Drift"), 35, blockers.why_not_check_drift),),
    confirmation=Confirmation(needs=("group",), is_complete=is_enough, plan=_plan, form=plain_form, start=_start),
    left_by_cancel=leaves_nothing,
    retry=retry_on_group(request_check_drift),
    follow=None,
    approval=None,
    runner="jobs.kinds.check_drift.runner.RUNNER",
)
