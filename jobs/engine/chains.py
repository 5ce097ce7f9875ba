"""Jobs asked for together: each starts when the one before has succeeded, else never.

A removal of both sides is such a row of jobs: delete in the cloud, purge there, destroy here. The
first carries what follows in its parameters; the next is opened in the transaction in which the
one before is finished, so it exists exactly once, and never before its condition is a fact.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from jobs import services
from jobs.choices import JobKind
from jobs.models import Job
from keygroups.choices import GroupCloudState, KeyState
from keygroups.models import Key, KeyGroup
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError

Step = dict[str, Any]


def request_removal(*, group: KeyGroup, cloud: str, local: bool, actor: Actor, idempotency_key: str = "") -> Job:
    """Ask for the group's keys to be removed; return the first job.

    ``cloud`` is "", "delete" or "purge" (which deletes first); ``local`` destroys the material here,
    after what is asked of the cloud has succeeded.

    Raises:
        PermissionRefused: the actor lacks the right of one of the jobs; nothing is started.
        ConflictError: the group's state bars the first job.

    """
    steps = _steps(group, cloud=cloud, local=local)
    if not steps:
        raise ConflictError(_("There is nothing to remove."), _("Choose where to delete: local, cloud or both."))
    for step in steps:
        check(actor, _RIGHTS[step["kind"]])
    if "purge" in cloud and group.vault.is_purge_protected:
        raise ConflictError(
            _("The vault “%(vault)s” has purge protection.") % {"vault": group.vault.name},
            _("Choose soft-delete; Azure purges the key by itself when the retention period ends."),
        )
    first, *then = steps
    if first["kind"] == JobKind.DESTROY:
        return services.request_destroy(keys=_keys(first), actor=actor, idempotency_key=idempotency_key)
    return services.request_cloud_delete(group=group, actor=actor, idempotency_key=idempotency_key, then=then)


_RIGHTS = {
    JobKind.CLOUD_DELETE: Right.CLOUD_DELETE,
    JobKind.CLOUD_PURGE: Right.CLOUD_PURGE,
    JobKind.DESTROY: Right.KEY_DESTROY,
}


def _steps(group: KeyGroup, *, cloud: str, local: bool) -> list[Step]:
    steps: list[Step] = []
    if cloud:
        steps.append({"kind": JobKind.CLOUD_DELETE})
    if cloud == "purge":
        steps.append({"kind": JobKind.CLOUD_PURGE})
    if local:
        present = group.keys.filter(state=KeyState.PRESENT).values_list("pk", flat=True)
        steps.append({"kind": JobKind.DESTROY, "keys": [str(pk) for pk in present]})
    return steps


def _keys(step: Step) -> list[Key]:
    """Return the keys that were chosen when the row of jobs was asked for and are still there."""
    rows = Key.objects.filter(pk__in=step["keys"], state=KeyState.PRESENT)
    return list(rows.select_related("group__vault", "group__credential").order_by("created_at", "name"))


def open_next(job: Job, *, actor: Actor) -> Job | None:
    """Open the job that follows one that just succeeded. Call inside the transaction that finishes it.

    Raises:
        KmesError: what follows can't be asked for any more, such as a right that was taken away.

    """
    steps: list[Step] = list(job.params.get("then", ()))
    while steps:
        step, *steps = steps
        key = f"after:{job.pk}:{step['kind']}"
        if step["kind"] == JobKind.CLOUD_PURGE:
            group = KeyGroup.objects.select_related("vault", "credential").get(jobs=job)
            if group.cloud_state == GroupCloudState.PURGED:
                # A vault without soft-delete: deleted was gone for good.
                continue
            return services.request_cloud_purge(group=group, actor=actor, idempotency_key=key, follows=job, then=steps)
        if keys := _keys(step):
            return services.request_destroy(keys=keys, actor=actor, idempotency_key=key, follows=job)
    return None


def describe_next(job: Job) -> list[str]:
    """Return the titles of the jobs that follow if this one succeeds."""
    return [str(JobKind(step["kind"]).label) for step in job.params.get("then", ())]
