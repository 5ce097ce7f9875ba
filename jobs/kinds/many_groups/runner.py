"""Many groups: open a job for each key group, a few at a time, and end when all of them have ended.

A run only opens and counts; it waits outside of the worker. What was opened is told by rows, so a run after a crash
goes on where the last one stopped.
"""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.choices import OPEN_STATES, RETRYABLE_STATES, SUCCEEDED_STATES, JobState
from jobs.engine import parts
from jobs.engine.authenticity import check_request
from jobs.engine.begun_marks import mark_begun
from jobs.engine.cancellation import find_request
from jobs.engine.interruptions import Cancelled, PartsFailed, PartsUnderWay
from jobs.engine.lifecycle import LeaseLost
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import end_deferred
from jobs.kinds.many_groups.operations import OPERATIONS
from jobs.kinds.many_groups.spec import REFUSED
from jobs.models import Job
from jobs.spec import Given, registry
from keygroups.models import KeyGroup
from kmes.core.errors import ConflictError, KmesError
from logging_reports.choices import Severity

STEP = "each_group"


def run_many(run: JobRun) -> None:
    """Open the next parts, or end the job with what became of them."""
    if not run.job.steps.filter(name=STEP).exists():
        with run.write() as tx:
            tx.begin_step(STEP)
            tx.add_message(_("Working on %(groups)s") % {"groups": run.job.subject})
    run.failpoint("before_parts")
    is_cancelled = find_request(run)
    if is_cancelled is None:
        _open_parts(run)
        is_cancelled = find_request(run)
    still_open = parts.open_parts(run.job).count()
    if still_open:
        # A cancelled job ends after its parts, which were asked to stop with it.
        run.may_cancel = False
        raise PartsUnderWay(open_parts=still_open, seconds=parts.LOOK_SECONDS)
    if is_cancelled is not None:
        raise is_cancelled
    _end(run)


def _open_parts(run: JobRun) -> None:
    """Open parts until as many are open as may be, or there are no further groups."""
    opened = set(Job.objects.filter(part_of=run.job).values_list("group_id", flat=True))
    refused = run.job.run_notes.get(REFUSED, {})
    left = [each for each in run.job.params["group_ids"] if UUID(each) not in opened and each not in refused]
    places = parts.WINDOW - parts.open_parts(run.job).count()
    for group_id in left:
        if places <= 0 or find_request(run) is not None:
            return
        if _open_part(run, group_id):
            places -= 1
        run.failpoint("after_part")


def _open_part(run: JobRun, group_id: str) -> bool:
    """Open the part of one group, or record why it can't be. Return whether there is one now."""
    group = KeyGroup.objects.select_related("vault", "credential").filter(pk=group_id).first()
    if group is None:
        _refuse(run, group_id, _("The key group no longer exists."))
        return False
    try:
        with run.write() as tx:
            # Within the claim's transaction: whoever cancels the job then finds this part.
            if (cancelled := find_request(run)) is not None:
                raise cancelled
            part = _request(run, group)
            # From here on the groups differ from what was approved.
            mark_begun(run.job)
            tx.add_message(f"{group.name}: {part}")
    except Cancelled:
        return False
    except LeaseLost:
        raise
    except KmesError as error:
        if error.retryable:
            raise
        _refuse(run, group_id, str(error), name=group.name)
        return False
    return True


def _request(run: JobRun, group: KeyGroup) -> Job:
    """Ask for the part of a group: after a retry the one that does what the former part left undone.

    What is frozen was frozen anew by the retry. So such a part is asked for anew, and compared with that.
    """
    operation = OPERATIONS[run.job.params["each"]]
    given: Given = {
        "actor": run.actor,
        "idempotency_key": f"part:{run.job.pk}:{group.pk}",
        "part_of": run.job,
    }
    former = run.job.retry_of and run.job.retry_of.parts.filter(group=group).order_by("-created_at").first()
    _refuse_done(run, group, former)
    retry = registry[run.job.params["each"]].retry
    if former is not None and former.state in RETRYABLE_STATES and retry is not None:
        check_request(former)
        if not operation.is_frozen:
            return retry(former, given)
        given["retry_of"] = former
    frozen = run.job.params.get("frozen", {}).get(str(group.pk))
    return operation.request(group, frozen, given)


def _refuse_done(run: JobRun, group: KeyGroup, former: Job | None) -> None:
    """Refuse a group that another retry of the same job works on, or has done: it would be done twice.

    Raises:
        ConflictError: there is such a retry.

    """
    if run.job.retry_of_id is None:
        return
    same = Q(part_of__retry_of=run.job.retry_of_id, group=group)
    if former is not None:
        same |= Q(retry_of=former)
    others = Job.objects.filter(same, state__in=[*OPEN_STATES, *SUCCEEDED_STATES]).exclude(part_of=run.job)
    if (other := others.first()) is not None:
        raise ConflictError(_("The job %(job)s has retried it meanwhile.") % {"job": other})


def _refuse(run: JobRun, group_id: str, why: str, *, name: str = "") -> None:
    notes = {**run.job.run_notes, REFUSED: {**run.job.run_notes.get(REFUSED, {}), group_id: why[:500]}}
    with run.write() as tx:
        Job.objects.filter(pk=run.job.pk).update(run_notes=notes)
        tx.add_message(f"{name}: {why}" if name else why, Severity.ERROR)
    run.job.run_notes = notes


def _end(run: JobRun) -> None:
    """End the step as its parts ended.

    Raises:
        PartsFailed: some did not succeed.

    """
    counts = Counter(Job.objects.filter(part_of=run.job).values_list("state", flat=True))
    total = len(run.job.params["group_ids"])
    done = sum(counts[state] for state in SUCCEEDED_STATES)
    outcome = describe(done, total, counts, refused=len(run.job.run_notes.get(REFUSED, {})))
    if done < total:
        is_partial = bool(done or counts[JobState.PARTLY_FAILED])
        raise PartsFailed(
            outcome, _("Each key group's line says why. Retry does those that are left."), is_partial=is_partial
        )
    warned = counts[JobState.WARNED]
    detail = (
        ngettext(
            "%(count)d key group succeeded with a warning.", "%(count)d key groups succeeded with a warning.", warned
        )
        % {"count": warned}
        if warned
        else outcome
    )
    end_deferred(run, STEP, detail, is_warning=bool(warned))
    run.defer(lambda tx: tx.add_message(outcome))


def describe(done: int, total: int, counts: Counter[str], *, refused: int) -> str:
    """Return "21 of 22 key groups done, 1 failed."."""
    text = ngettext("%(done)d of %(total)d key group done", "%(done)d of %(total)d key groups done", total)
    words = [text % {"done": done, "total": total}]
    for number, text in (
        (counts[JobState.FAILED] + counts[JobState.PARTLY_FAILED], _("%(count)d failed")),
        (counts[JobState.CANCELLED], _("%(count)d canceled")),
        (refused, _("%(count)d not begun")),
    ):
        if number:
            words.append(text % {"count": number})
    return ", ".join(words) + "."


RUNNER = Runner(
    run=run_many,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
