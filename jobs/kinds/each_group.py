"""Works on the key groups of a job one after the other, where its keys are of several.

The job holds the Azure key of the group that it works on (docs/decisions/0005-one-job-several-groups.md). What is done to
a group is the kind's own.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from jobs.engine import admission
from jobs.engine.authenticity import NotGenuine
from jobs.engine.interruptions import Cancelled, WaitUntil, Yielded
from jobs.engine.lifecycle import LeaseLost
from jobs.engine.run import JobRun
from jobs.engine.transaction import RunTransaction
from jobs.engine.undone import record_undone
from jobs.models import JobTarget
from keygroups.models import Key, KeyGroup
from kmes.core.errors import KmesError


def read_group(group_id: UUID) -> KeyGroup:
    """Return a key group with its vault and credential."""
    return KeyGroup.objects.select_related("vault__credential", "credential").get(pk=group_id)


def pending_in(run: JobRun, group: KeyGroup) -> list[JobTarget]:
    """Return the job's pending targets in one of its groups, in order."""
    return [target for target in run.pending_targets() if target.key.group_id == group.pk]


def work_on_groups(
    run: JobRun, work: Callable[[KeyGroup], None], *, abandon_key: Callable[[RunTransaction, Key], None]
) -> None:
    """Work on the groups of the job's pending keys in turn; an error in one does not hold up the others.

    ``abandon_key`` is the runner's, called for each key of a group that fails. A wait, also for a vault that is paused, or
    a retryable error is raised when the others are done: the next run finds the results of their keys and goes on with
    the rest.

    Raises:
        KmesError: a group has to be worked on again, or its error came after its keys were done.
        NotGenuine: the job or a key of it is not as it was requested; no further group is begun.

    """
    postponed: KmesError | None = None
    paused: WaitUntil | None = None
    for group_id in dict.fromkeys(target.key.group_id for target in run.pending_targets()):
        group = read_group(group_id)
        with run.working_on(group) as is_held:
            if not is_held:
                postponed = postponed or WaitUntil(
                    _("another job on the Azure key “%(key)s”") % {"key": group.azure_name},
                    seconds=settings.KMES_SCAN_SECONDS,
                )
                continue
            if (pause := admission.find_pause(run.job, group.vault)) is not None:
                paused = pause if paused is None or pause.seconds < paused.seconds else paused
                continue
            try:
                work(group)
            except (Cancelled, Yielded, LeaseLost, NotGenuine):
                raise
            except KmesError as error:
                if error.retryable or not _fail(run, group, error, abandon_key):
                    postponed = postponed or error
    if (why := postponed or paused) is not None:
        raise why


def _fail(run: JobRun, group: KeyGroup, error: KmesError, abandon_key: Callable[[RunTransaction, Key], None]) -> bool:
    """Fail a group's pending keys. Return whether there were any; else all were done before the error."""
    with run.write() as tx:
        tx.fail_running_steps(str(error))
    pending = pending_in(run, group)
    if pending:
        with run.write() as tx:
            record_undone(tx, run, pending, error, wording=run.spec.wording)
            for target in pending:
                abandon_key(tx, target.key)
    return bool(pending)
