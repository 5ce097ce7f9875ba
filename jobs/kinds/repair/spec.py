"""Repair: set versions in the vault back to what is known here; disable those that others made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.confirmation.forms import plain_form
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.approval_policies import DISABLE_CURRENT
from jobs.engine.creation import NewJob, create_job
from jobs.kinds.repair.plan import plan_repair
from jobs.models import Job
from jobs.planning.requests import group_of, undone_keys
from jobs.spec import Approval, Confirmation, Given, JobSpec, Scope, Step, Wording, leaves_one_call
from keygroups.choices import VersionState
from keygroups.drift import is_disabling, is_repairable
from keygroups.models import CloudVersion, KeyGroup, Observation
from kmes.accounts.rights import Right, check_each
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError

KIND = "repair"


def request_repair(
    *,
    observations: Sequence[Observation],
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    reason: str = "",
) -> Job:
    """Ask for versions in the vault to be set back to what is known here; those others made are disabled.

    Raises:
        ConflictError: nothing differs that can be set back.

    """
    check_each(actor, Right.KEY_DISABLE, observations)
    wanted = [row for row in observations if is_repairable(row)]
    if not wanted:
        raise ConflictError(_("Nothing differs that can be set back."), _("Run Cloud > Check Drift and try again."))
    group = wanted[0].group
    versions = [row.version for row in wanted if row.version is not None]
    keys = [version.key for version in versions]
    strangers = [row.azure_version for row in wanted if row.version is None]
    new = NewJob(
        KIND,
        keys[0].name if len(keys) == 1 and not strangers else group.name,
        group=group,
        keys=keys,
        params={"strangers": strangers, "versions": [str(version.pk) for version in versions]},
        retry_of=retry_of,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key, reason=reason)


def _actions(job: Job) -> tuple[str, ...]:
    """Return the action of a job that disables the current version; what else is set back needs no approval."""
    if job.group is None:
        return ()
    versions = CloudVersion.objects.filter(pk__in=job.params.get("versions", ()))
    return _actions_on(job.group, versions, job.params["strangers"])


def _expected(target: StartTarget) -> tuple[str, ...]:
    rows = [row for row in _to_repair(target) if is_repairable(row)]
    if not rows:
        return ()
    versions = [row.version for row in rows if row.version is not None]
    return _actions_on(rows[0].group, versions, [row.azure_version for row in rows if row.version is None])


def _actions_on(group: KeyGroup, versions: Iterable[CloudVersion], strangers: Sequence[str]) -> tuple[str, ...]:
    current = group.current_version
    disabled = [each for each in versions if is_disabling(each)]
    is_current = any(each.azure_version == current or each.state == VersionState.ACTIVE for each in disabled)
    return (DISABLE_CURRENT,) if is_current or (current and current in strangers) else ()


def _to_repair(target: StartTarget) -> list[Observation]:
    """Return the differences named one by one, else all of the group's that can be set back."""
    if target.observations:
        return list(target.observations)
    rows = target.the_group.observations.select_related("group__credential", "group__vault", "version__key")
    return [row for row in rows if is_repairable(row) and row.version_id]


def _plan(target: StartTarget) -> Plan:
    rows = _to_repair(target)
    return plan_repair(rows[0].group if rows else target.the_group, rows)


def _plan_job(job: Job) -> Plan:
    """Return what a repair that was requested does, as it differs now."""
    return plan_repair(group_of(job), list(_rows_of(job, job.targets.values_list("key_id", flat=True))))


def _rows_of(job: Job, key_ids: Iterable[Any]) -> QuerySet[Observation]:
    """Return what differs of these keys of a job, and of the versions that others made."""
    rows = group_of(job).observations.select_related("group__credential", "group__vault", "version__key")
    named = Q(version__key__in=list(key_ids)) | Q(azure_version__in=job.params["strangers"])
    return rows.filter(named).order_by("azure_version")


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    return request_repair(observations=_to_repair(target), **given)


def _retry(job: Job, given: Given) -> Job:
    rows = _rows_of(job, [key.pk for key in undone_keys(job)])
    return request_repair(observations=list(rows), retry_of=job, **given)


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
    # Under the policy of another action, as far as it does that.
    approval=Approval(label=None, actions=_actions, expected=_expected, plan=_plan_job),
    runner="jobs.kinds.repair.runner.RUNNER",
)
