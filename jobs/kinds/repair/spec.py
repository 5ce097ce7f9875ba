"""Repair: set versions in the vault back to what is known here; disable those that others made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.confirmation.forms import plain_form
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.kinds.repair.plan import plan_repair
from jobs.models import Job
from jobs.planning.requests import group_of, undone_keys
from jobs.spec import Confirmation, Given, JobSpec, Scope, Step, Wording, leaves_one_call
from keygroups.drift import is_repairable
from keygroups.models import Observation
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError

KIND = "repair"


def request_repair(
    *, observations: Sequence[Observation], actor: Actor, idempotency_key: str = "", retry_of: Job | None = None
) -> Job:
    """Ask for versions in the vault to be set back to what is known here; those others made are disabled.

    Raises:
        ConflictError: nothing differs that can be set back.

    """
    check(actor, Right.KEY_DISABLE)
    wanted = [row for row in observations if is_repairable(row)]
    if not wanted:
        raise ConflictError(_("Nothing differs that can be set back."), _("Run Cloud > Check Drift and look again."))
    group = wanted[0].group
    keys = [row.version.key for row in wanted if row.version is not None]
    strangers = [row.azure_version for row in wanted if row.version is None]
    new = NewJob(
        KIND,
        keys[0].name if len(keys) == 1 and not strangers else group.name,
        group=group,
        keys=keys,
        params={"strangers": strangers},
        retry_of=retry_of,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def _to_repair(target: StartTarget) -> list[Observation]:
    """Return the differences named one by one, else all of the group's that can be set back."""
    if target.observations:
        return list(target.observations)
    rows = target.the_group.observations.select_related("group__credential", "group__vault", "version__key")
    return [row for row in rows if is_repairable(row) and row.version_id]


def _plan(target: StartTarget) -> Plan:
    rows = _to_repair(target)
    return plan_repair(rows[0].group if rows else target.the_group, rows)


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    return request_repair(observations=_to_repair(target), **given)


def _retry(job: Job, given: Given) -> Job:
    rows = group_of(job).observations.select_related("group__credential", "group__vault", "version__key")
    undone = Q(version__key__in=[key.pk for key in undone_keys(job)]) | Q(azure_version__in=job.params["strangers"])
    return request_repair(observations=list(rows.filter(undone)), retry_of=job, **given)


REPAIR = JobSpec(
    kind=KIND,
    title=gettext_lazy("Repair HSM Protected key(s)"),
    right=Right.KEY_DISABLE,
    wording=Wording("Repairing", "Repaired", "repair"),
    counts_keys=True,
    steps=(Step("set_back", gettext_lazy("Set the versions back")),),
    scope=Scope.KEYS,
    holds_azure_key=True,
    blocks_group=True,
    pushes_keys=False,
    failpoints=KIND,
    menu=(),
    confirmation=Confirmation(
        needs=("observations", "group"), is_complete=is_enough, plan=_plan, form=plain_form, start=_start
    ),
    left_by_cancel=leaves_one_call,
    retry=_retry,
    follow=None,
    approval=None,
    runner="jobs.kinds.repair.runner.RUNNER",
)
