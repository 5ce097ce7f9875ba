"""Many groups: one job that opens a job of an ordinary kind for each of many key groups, and ends with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from jobs.choices import OPEN_STATES, RETRYABLE_STATES, SUCCEEDED_STATES
from jobs.engine.creation import NewJob, create_job
from jobs.kinds.many_groups.approval import APPROVAL
from jobs.kinds.many_groups.operations import OPERATIONS
from jobs.models import Job
from jobs.spec import Given, JobSpec, Scope, Step, Wording, registry
from keygroups.models import KeyGroup
from keygroups.selection import MAX_GROUPS, no_group, too_many
from kmes.accounts.rights import Right, check_each
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError

KIND = "many_groups"
# Jobs of one user that are open at a time: each keeps some workers busy for long.
MOST_OPEN_OF_A_USER = 5
# In ``run_notes``: why no job could be opened for a group, by the group's id.
REFUSED = "refused"


def request_many(
    *,
    kind: str,
    groups: Sequence[KeyGroup],
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
    reason: str = "",
) -> Job:
    """Ask for the operation ``kind`` on each of the groups, by one job.

    Raises:
        PermissionRefused: the actor may not do that to one group.
        InputError: there is no group, or there are more than ``MAX_GROUPS``; or a policy asks for approvals, and no
            reason is given.
        ConflictError: the actor has too many such jobs that are open, or one request would have too many groups.

    """
    operation = OPERATIONS[kind]
    check_each(actor, registry[kind].right, groups)
    _refuse_too_many(actor)
    if not groups:
        raise no_group()
    if len(groups) > MAX_GROUPS:
        raise too_many(len(groups))
    with language.of_records():
        subject = ngettext("%(count)d key group", "%(count)d key groups", len(groups)) % {"count": len(groups)}
    params: dict[str, Any] = {"each": operation.kind, "group_ids": [str(group.pk) for group in groups]}
    if frozen := operation.freeze(groups):
        params["frozen"] = frozen
    new = NewJob(KIND, subject, params=params, retry_of=retry_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key, reason=reason)


def _refuse_too_many(actor: Actor) -> None:
    is_open = Job.objects.filter(kind=KIND, state__in=OPEN_STATES, requested_by=actor.user_id)
    if is_open.count() >= MOST_OPEN_OF_A_USER:
        raise ConflictError(
            _("%(count)d jobs of this user on many key groups are open already.") % {"count": MOST_OPEN_OF_A_USER},
            _("Wait until one has ended, or cancel one."),
        )


def _retry(job: Job, given: Given) -> Job:
    undone = undone_groups(job)
    found = {group.pk: group for group in KeyGroup.objects.filter(pk__in=undone)}
    groups = [found[group_id] for group_id in undone if group_id in found]
    if not groups:
        raise ConflictError(_("Nothing is left to retry: each key group is done."), _("Reload the page."))
    return request_many(kind=job.params["each"], groups=groups, retry_of=job, **given)


def undone_groups(job: Job) -> list[UUID]:
    """Return the ids of the groups whose part failed or never began, in order; those retried since are left out."""
    parts = {part.group_id: part for part in job.parts.order_by("created_at")}
    going_well = set(
        Job.objects.filter(retry_of__part_of=job, state__in=[*OPEN_STATES, *SUCCEEDED_STATES]).values_list(
            "retry_of", flat=True
        )
    )
    # Groups without a part of this job, which a retry of it began.
    begun_since = set(
        Job.objects.filter(part_of__retry_of=job, state__in=[*OPEN_STATES, *SUCCEEDED_STATES]).values_list(
            "group_id", flat=True
        )
    )
    undone = []
    for group_id in map(UUID, job.params["group_ids"]):
        part = parts.get(group_id)
        is_undone = part is None or (part.state in RETRYABLE_STATES and part.pk not in going_well)
        if is_undone and group_id not in begun_since:
            undone.append(group_id)
    return undone


def _left_by_cancel() -> str:
    return _(
        "No further key group is begun. The jobs that are under way stop at their next safe point, and each says what it "
        "leaves behind; groups that are done stay done."
    )


MANY_GROUPS = JobSpec(
    kind=KIND,
    title=gettext_lazy("Work on many key groups"),
    # Never asked for: what is done to each group needs that operation's right (``Registry.right_for``).
    right=Right.KEY_PUSH,
    wording=Wording("Working on", "Worked on", "work on"),
    # It counts groups, and each part counts its keys.
    counts_keys=False,
    steps=(Step("each_group", gettext_lazy("Work on each key group")),),
    scope=Scope.NO_KEY,
    holds_azure_key=False,
    blocks_group=False,
    pushes_keys=False,
    failpoints=KIND,
    menu=(),
    confirmation=None,
    approval=APPROVAL,
    left_by_cancel=_left_by_cancel,
    retry=_retry,
    follow=None,
    runner="jobs.kinds.many_groups.runner.RUNNER",
)
