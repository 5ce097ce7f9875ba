"""Rotate: a new key that is pushed and becomes its group's active version."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.choices import FINAL_STATES
from jobs.confirmation.forms import plain_form
from jobs.confirmation.plan import Plan, push_effects, push_facts, push_warnings
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.kinds.push.steps import FAILPOINTS, PUSH_STEPS, left_by_push
from jobs.models import Job
from jobs.planning import blockers
from jobs.planning.menus import on_group
from jobs.planning.requests import (
    refuse_deleted_group,
    refuse_disabled_push,
    refuse_standard_vault,
    require_device,
    retry_on_group,
)
from jobs.spec import Confirmation, Given, JobSpec, Scope, Step, Wording
from keygroups.choices import KeyState
from keygroups.models import KeyGroup
from keygroups.rotation_schedule import rotated_key_name
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError

KIND = "rotate"


def request_rotation(
    *,
    group: KeyGroup,
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    part_of: Job | None = None,
) -> Job:
    """Ask for a new key in the HSM that is pushed and becomes the group's active version.

    Raises:
        ConflictError: another job is rotating the group, its Azure key is deleted but recoverable, or others have to
            approve what a disabled version would do.

    """
    check(actor, Right.KEY_ROTATE, group)
    if actor.user_id is not None:
        require_device()
    refuse_deleted_group(group)
    refuse_standard_vault(group)
    refuse_disabled_push(group)
    busy = Job.objects.filter(group=group, kind=KIND).exclude(state__in=FINAL_STATES).first()
    if busy is not None and (not idempotency_key or busy.idempotency_key != idempotency_key):
        raise ConflictError(
            _("Job %(job)s is rotating this key group already.") % {"job": busy}, _("Wait until it has ended.")
        )
    params = _resumed(retry_of) if retry_of is not None else {}
    if not params.get("name"):
        taken = {name.casefold() for name in group.keys.values_list("name", flat=True)}
        params["name"] = rotated_key_name(group.name, now(), taken)
    new = NewJob(KIND, group.name, group=group, params=params, retry_of=retry_of, part_of=part_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def _resumed(failed: Job) -> dict[str, Any]:
    """Return the key that a failed try may have made: the retry pushes that one."""
    made = failed.targets.filter(key__state=KeyState.PRESENT).select_related("key").first()
    if made is not None:
        return {"name": made.key.name, "resume_key": str(made.key_id)}
    return {"name": failed.params.get("name"), "resume_key": failed.params.get("resume_key")}


def _plan(target: StartTarget) -> Plan:
    group = target.the_group
    return Plan(
        title=_("Force rotation of %(group)s") % {"group": group.name},
        button=_("Force rotation"),
        back=group.get_absolute_url(),
        facts=push_facts(group),
        effects=[
            _("A new key is made in the HSM, named after the group and the time."),
            *push_effects(group, 1),
            _("“Last rotated” is set when all of that has succeeded."),
        ],
        warnings=push_warnings(group),
        obstacle=blockers.why_not_rotate(group),
    )


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    return request_rotation(group=target.the_group, **given)


ROTATE = JobSpec(
    kind=KIND,
    title=gettext_lazy("Rotate HSM Protected key(s)"),
    right=Right.KEY_ROTATE,
    wording=Wording("Rotating", "Rotated", "rotate"),
    counts_keys=True,
    steps=(Step("generate_key", gettext_lazy("Generate key in the HSM")), *PUSH_STEPS),
    scope=Scope.KEYS,
    holds_azure_key=True,
    blocks_group=True,
    pushes_keys=True,
    failpoints=FAILPOINTS,
    menu=(on_group(KIND, gettext_lazy("Force Rotation"), 31, blockers.why_not_rotate),),
    confirmation=Confirmation(needs=("group",), is_complete=is_enough, plan=_plan, form=plain_form, start=_start),
    left_by_cancel=left_by_push,
    retry=retry_on_group(request_rotation),
    follow=None,
    approval=None,
    runner="jobs.kinds.rotate.runner.RUNNER",
)
