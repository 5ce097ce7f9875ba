"""Synchronize: push keys to the vaults of their groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from jobs.confirmation.forms import plain_form
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.kinds.push.steps import FAILPOINTS, PUSH_STEPS, SYNCHRONIZING, left_by_push
from jobs.kinds.synchronize.plan import plan_keys, plan_selection
from jobs.models import Job
from jobs.planning import blockers
from jobs.planning.eligibility import find_pushable, why_none
from jobs.planning.menus import CLOUD, on_group, on_key, on_selection
from jobs.planning.requests import (
    only_group,
    refuse_deleted_group,
    refuse_disabled_push,
    refuse_standard_vault,
    require_device,
    subject_of_keys,
    undone_keys,
)
from jobs.spec import Confirmation, Given, JobSpec, Scope
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import HELD_VERSION_STATES, KeyState
from keygroups.models import Key, KeyGroup
from kmes.accounts.rights import Right, check_each
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError

KIND = "synchronize"


def request_synchronize(
    *,
    keys: Sequence[Key],
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    part_of: Job | None = None,
) -> Job:
    """Ask for keys to be pushed to the vaults of their groups, in one job.

    Raises:
        ConflictError: a key is destroyed, in the vault already, or being pushed by another job; a vault holds
            no HSM keys; or others have to approve what a disabled version would do.

    """
    check_each(actor, Right.KEY_PUSH, keys)
    require_device()
    if not keys:
        raise ConflictError(gettext("There is no key to synchronize."), gettext("Create a key in the group first."))
    groups = {key.group_id: key.group for key in keys}
    for group in groups.values():
        refuse_deleted_group(group)
        refuse_standard_vault(group)
        refuse_disabled_push(group)
    ordered = sorted(keys, key=lambda key: (key.created_at, key.name))

    def begin() -> None:
        key_lifecycle.begin_pushes(ordered)

    new = NewJob(
        KIND,
        subject_of_keys(ordered),
        group=only_group(ordered),
        keys=ordered,
        params={"groups": len(groups)} if len(groups) > 1 else {},
        retry_of=retry_of,
        part_of=part_of,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key, before=begin)


def keys_to_synchronize(group: KeyGroup) -> list[Key]:
    """Return the group's present keys that the vault does not hold, oldest first."""
    return list(
        group.keys.filter(state=KeyState.PRESENT)
        .exclude(cloud_versions__state__in=HELD_VERSION_STATES)
        .order_by("created_at", "name")
    )


def _keys_to_push(target: StartTarget) -> list[Key]:
    if target.selection is not None:
        return find_pushable(target.keys).eligible
    return list(target.keys) if target.keys else keys_to_synchronize(target.the_group)


def _plan(target: StartTarget) -> Plan:
    if target.selection is not None:
        return plan_selection(find_pushable(target.keys))
    group = target.keys[0].group if target.keys else target.the_group
    return plan_keys(group, _keys_to_push(target), whole_group=not target.keys)


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    return request_synchronize(keys=_keys_to_push(target), **given)


def _retry(job: Job, given: Given) -> Job:
    return request_synchronize(keys=undone_keys(job), retry_of=job, **given)


def _label(count: int | None) -> str:
    if count is None:
        return gettext("Synchronize")
    return ngettext("Synchronize %(count)d key", "Synchronize %(count)d keys", count) % {"count": count}


SYNCHRONIZE = JobSpec(
    kind=KIND,
    title=_("Synchronize HSM Protected key(s)"),
    right=Right.KEY_PUSH,
    wording=SYNCHRONIZING,
    counts_keys=True,
    steps=PUSH_STEPS,
    scope=Scope.KEYS,
    holds_azure_key=True,
    blocks_group=True,
    pushes_keys=True,
    failpoints=FAILPOINTS,
    menu=(
        on_group(KIND, _("Synchronize All"), 30, blockers.why_not_synchronize_all),
        on_key(KIND, _("Synchronize"), 10, blockers.why_not_synchronize),
        on_selection(KIND, _label, 10, why_not=why_none(find_pushable), submenu=CLOUD),
    ),
    confirmation=Confirmation(
        needs=("keys", "group"), is_complete=is_enough, plan=_plan, form=plain_form, start=_start
    ),
    left_by_cancel=left_by_push,
    retry=_retry,
    follow=None,
    approval=None,
    runner="jobs.kinds.synchronize.runner.RUNNER",
)
