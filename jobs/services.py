"""Requests about jobs as such: cancel one, retry one, remove a group's keys by a chain of them.

What asks for a job of one kind is in that kind's spec (``jobs.kinds``). Nothing here touches the device or Azure.
"""

from __future__ import annotations

import contextlib
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from cloudcreds import circuits
from cloudcreds.models import KeyVault
from jobs.choices import RETRYABLE_STATES
from jobs.engine import hints, lifecycle, parts
from jobs.engine.authenticity import check_request
from jobs.engine.creation import subject_of
from jobs.kinds.cloud_delete import spec as cloud_delete
from jobs.kinds.cloud_purge import spec as cloud_purge
from jobs.kinds.destroy import spec as destroy
from jobs.models import Job
from jobs.spec import registry
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import KeyState
from keygroups.models import KeyGroup
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from logging_reports.services import Subject, record


def request_cancel(*, job: Job, actor: Actor) -> Job:
    """Cancel a job: at once if it has not begun, else at the next safe point.

    Raises:
        ConflictError: the job has ended.

    """
    check(actor, Right.JOB_CANCEL, job)
    with transaction.atomic():
        event = "job.cancelled" if lifecycle.cancel_queued(job, by=actor.name) else "job.cancel_requested"
        if event == "job.cancelled":
            parts.report_end_on_commit(job)
            for target in job.targets.select_related("key"):
                key_lifecycle.fail_push(key=target.key)
        elif not lifecycle.request_cancel(job, by=actor.name):
            raise ConflictError(_("The job has ended already."), _("Reload the page."))
        record(
            event,
            actor=actor,
            message=f"{job.recorded_title}: {job.subject}",
            subject=subject_of(job),
            job_id=job.pk,
            job_code=job.code,
        )
        if event == "job.cancel_requested":
            hints.send_on_commit(job.pk)
        # After its own row: a run that opens a part waits for this transaction, and opens none then.
        for part in parts.open_parts(job):
            with contextlib.suppress(ConflictError):
                request_cancel(job=part, actor=actor)
    job.refresh_from_db()
    return job


def request_retry(*, job: Job, actor: Actor, idempotency_key: str = "", reason: str = "") -> Job:
    """Make the job that does what ``job`` left undone; what it did is not done again.

    Raises:
        ConflictError: the job is not over, or what it was about no longer exists or can't be retried.
        NotGenuine: the job is not as it was requested.

    """
    if job.state not in RETRYABLE_STATES:
        raise ConflictError(_("Only a failed or canceled job can be retried."), _("Reload the page."))
    # The new job takes over what the old one's row says.
    check_request(job)
    spec = registry.find(job.kind)
    if spec is None or spec.retry is None:
        raise ConflictError(_("This kind of job is not retried by hand."), _("Start again what it belonged to."))
    given = {"actor": actor, "idempotency_key": idempotency_key}
    return spec.retry(job, {**given, "reason": reason} if spec.approval is not None else given)


def try_vault_now(*, vault: KeyVault, actor: Actor) -> None:
    """Let the jobs of a vault that does not answer try it now, instead of at the end of its pause.

    Raises:
        ConflictError: the vault is not paused.

    """
    check(actor, Right.KEY_PUSH, vault)
    with transaction.atomic():
        paused_until = circuits.end_pause(vault)
        if paused_until is None:
            raise ConflictError(_("The vault is not paused."), _("Reload the page."))
        first = lifecycle.wake(vault_id=vault.pk, waiting_until=paused_until)
        record(
            "schedule.vault_tried",
            actor=actor,
            message=f"The vault {vault}, which did not answer, is tried at once",
            subject=Subject(credential_id=str(vault.credential_id), credential=vault.credential.name, vault=vault.name),
        )
        if first is not None:
            hints.send_on_commit(first)


def request_removal(
    *, group: KeyGroup, cloud: str, local: bool, actor: Actor, idempotency_key: str = "", reason: str = ""
) -> Job:
    """Ask for the group's keys to be removed; return the first job.

    ``cloud`` is "", "delete" or "purge" (which deletes first); ``local`` destroys the material here,
    after what is asked of the cloud has succeeded.

    Raises:
        PermissionRefused: the actor lacks the right of one of the jobs; nothing is started.
        ConflictError: the group's state bars the first job.

    """
    links = _removal_links(group, cloud=cloud, local=local)
    if not links:
        raise ConflictError(_("There is nothing to remove."), _("Choose where to delete: local, cloud or both."))
    for link in links:
        check(actor, registry[link["kind"]].right, group)
    if cloud == "purge" and group.vault.is_purge_protected:
        raise ConflictError(
            _("The vault “%(vault)s” has purge protection.") % {"vault": group.vault.name},
            _("Choose soft-delete; Azure purges the key by itself when the retention period ends."),
        )
    first, *then = links
    given: dict[str, Any] = {"actor": actor, "idempotency_key": idempotency_key, "reason": reason}
    if first["kind"] == destroy.KIND:
        return destroy.request_destroy(keys=destroy.keys_of_link(first), **given)
    return cloud_delete.request_cloud_delete(group=group, then=then, **given)


def _removal_links(group: KeyGroup, *, cloud: str, local: bool) -> list[dict[str, Any]]:
    links: list[dict[str, Any]] = []
    if cloud:
        links.append({"kind": cloud_delete.KIND})
    if cloud == "purge":
        links.append({"kind": cloud_purge.KIND})
    if local:
        present = group.keys.filter(state=KeyState.PRESENT).values_list("pk", flat=True)
        links.append(destroy.link_to_destroy(list(present)))
    return links
