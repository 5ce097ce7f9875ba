"""Runs one job from claim to end. The only place where a runner's errors become a job's state."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, IntegrityError
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from jobs.choices import JobState, TargetState
from jobs.engine import hints, lifecycle
from jobs.engine.chains import open_next
from jobs.engine.compatibility import can_run
from jobs.engine.lifecycle import LeaseLost
from jobs.engine.run import Cancelled, JobRun, WaitUntil
from jobs.kinds.push.cycle import discard_job_keks
from jobs.models import Job
from keygroups import lifecycle as key_lifecycle
from kmes.core.actor import Trigger
from kmes.core.clock import now
from kmes.core.errors import KmesError
from logging_reports.choices import Severity
from logging_reports.services import LogWriteError

logger = logging.getLogger(__name__)

# Tries before a passing failure ends the job: a person waits for an answer, a schedule does not.
TRIES_FOR_USERS = 3


def execute(job_id: UUID, *, owner: str) -> UUID | None:
    """Run a job if it can be claimed. Return the job that waited for the Azure key it held, if any."""
    try:
        held = lifecycle.claim(job_id, owner=owner) if can_run(job_id) else None
    except DatabaseError:
        logger.exception("job %s can't be claimed now: the database failed", job_id)
        return None
    if held is None:
        return None
    job = Job.objects.select_related("group__vault__credential", "credential").get(pk=job_id)
    run = JobRun(job, held)
    try:
        with lifecycle.heartbeat(held):
            _run(run)
    except LeaseLost:
        logger.warning("%s was taken over by another worker", job)
    except (DatabaseError, LogWriteError):
        # Nothing can be written now: the lease runs out, and another run begins with a look.
        logger.exception("%s stops: the database failed", job)
        return None
    return lifecycle.next_in_line(job.azure_lock)


def _run(run: JobRun) -> None:
    try:
        _refuse_without_end(run)
        _announce_start(run)
        import_string(run.spec.runner)(run)
        _finish(run)
    except LeaseLost:
        raise
    except IntegrityError:
        # No passing weather: the same would be refused again, so it must not be tried for ever.
        logger.exception("%s would break a rule of the database", run.job)
        _fail_or_retry(run, _unexpected())
    except DatabaseError:
        raise
    except WaitUntil as wait:
        _release(run, wait)
    except Cancelled as cancelled:
        _end(run, JobState.CANCELLED, cancelled)
    except KmesError as error:
        _fail_or_retry(run, error)
    except Exception:
        # Like a crash: the next run begins with a look at what this one left behind.
        logger.exception("%s met an unexpected error", run.job)
        _fail_or_retry(run, _unexpected())


def _unexpected() -> KmesError:
    return KmesError(
        _("An unexpected error stopped the job."),
        _("Retry it; if it happens again, give the job's number to whoever runs this console."),
        retryable=True,
        code="unexpected",
    )


def _is_hopeless(run: JobRun) -> bool:
    return bool(run.job.lost_runs >= settings.KMES_MAX_LOST_RUNS)


def _refuse_without_end(run: JobRun) -> None:
    """Begin no run of a job that may be what kills its workers."""
    if _is_hopeless(run):
        raise KmesError(
            _("The worker was lost %(count)d times in a row during this job.") % {"count": run.job.lost_runs},
            _(
                "See in the worker's log and the system's why it ended, too little memory for example; then retry the job."
            ),
            code="workers_lost",
        )


def _count(run: JobRun) -> int:
    return len(run.job.params.get("names", [])) or run.job.targets.count() or 1


def _speaks_of_keys(run: JobRun) -> bool:
    return run.spec.counts_keys


def _announce_start(run: JobRun) -> None:
    """Say that the job begins, with its first write."""
    if run.job.messages.exists():
        if run.job.lost_runs:
            run.later(lambda: run.say(_("The worker was lost; another one goes on."), Severity.WARNING))
        return
    run.log("job.started", f"{run.job.recorded_title}: {run.job.subject}")
    if _speaks_of_keys(run):
        # A rotation's visible work is the push of its new key.
        run.later(lambda: run.say(run.spec.wording.start(_count(run))))


def _finish(run: JobRun) -> None:
    states = list(run.job.targets.values_list("state", flat=True))
    failed = states.count(TargetState.FAILED)
    if not failed:
        with run.write():
            if _speaks_of_keys(run):
                run.say(run.spec.wording.all_done(_count(run)))
            run.log("job.finished", f"{run.job.recorded_title}: {run.job.subject}")
            lifecycle.finish(run.held, JobState.SUCCEEDED)
            _go_on(run)
        return
    state = JobState.FAILED if failed == len(states) else JobState.PARTLY_FAILED
    detail = run.job.targets.filter(state=TargetState.FAILED).values_list("detail", flat=True).first() or ""
    what = _("%(failed)d of %(total)d keys failed.") % {"failed": failed, "total": len(states)}
    _end(run, state, KmesError(what, detail, code="targets_failed"))


def _go_on(run: JobRun) -> None:
    """Open the job that was to follow this one. Called in the transaction that finishes it."""
    try:
        following = open_next(run.job, actor=run.actor)
    except KmesError as error:
        run.say(_("What was to follow can't be started: %(error)s") % {"error": error}, Severity.ERROR)
        return
    if following is not None:
        run.say(_("Going on with %(job)s: %(title)s") % {"job": following, "title": following.title})


def _release(run: JobRun, wait: WaitUntil) -> None:
    if wait.counts_as_failure and run.job.failures + 1 >= _tries(run):
        _end(run, JobState.FAILED, KmesError(wait.what, _("Retry the job.")))
        return
    with run.write():
        run.say(_("Waiting: %(what)s") % {"what": wait.what}, Severity.WARNING)
        lifecycle.release(
            run.held,
            run_after=now() + timedelta(seconds=wait.seconds),
            waiting_for=wait.what,
            count_failure=wait.counts_as_failure,
        )
        if not wait.seconds:
            # Its next turn comes when the jobs that wait already had theirs, not with the next scan.
            hints.send_on_commit(run.job.pk)


def _tries(run: JobRun) -> int:
    return settings.KMES_MAX_ATTEMPTS if run.actor.trigger == Trigger.SCHEDULE else TRIES_FOR_USERS


def _fail_or_retry(run: JobRun, error: KmesError) -> None:
    if not error.retryable or run.job.failures + 1 >= _tries(run):
        _end(run, JobState.FAILED, error)
        return
    delay = min(300, 3 * 3**run.job.failures)
    with run.write():
        run.fail_running_steps(str(error))
        run.say(_("%(error)s Trying again in %(seconds)d s.") % {"error": error, "seconds": delay}, Severity.WARNING)
        lifecycle.release(
            run.held, run_after=now() + timedelta(seconds=delay), waiting_for=error.what, count_failure=True
        )


def _end(run: JobRun, state: JobState, error: KmesError) -> None:
    """End a job that did not go well: clean up, say why per key, and settle what was pending."""
    # Where runs lose their worker, this one must get to its end: the sweep discards what is left.
    if run.spec.pushes_keys and not _is_hopeless(run):
        try:
            discard_job_keks(run)
        except LeaseLost:
            raise
        except KmesError as left:
            # The ledger knows the KEK; the sweep comes back for it.
            logger.warning("%s leaves its ephemeral key to the sweep: %s", run.job, left)
    cancelled = state == JobState.CANCELLED
    with run.write():
        pending = run.pending_targets()
        for target in pending:
            run.settle(target, TargetState.SKIPPED if cancelled else TargetState.FAILED, str(error))
            if run.spec.pushes_keys:
                key_lifecycle.fail_push(key=target.key)
        if not cancelled:
            _say_failures(run, [target.key.name for target in pending], error)
        else:
            run.say(str(error), Severity.WARNING)
        run.fail_running_steps(str(error))
        if state == JobState.FAILED and run.job.targets.filter(state=TargetState.DONE).exists():
            state = JobState.PARTLY_FAILED
        if run.spec.kind == "rotate" and not cancelled:
            run.log("azure.rotation_failed", str(error))
        run.log("job.cancelled" if cancelled else "job.failed", f"{run.job.recorded_title}: {error}")
        lifecycle.finish(run.held, state, error=error)


def _say_failures(run: JobRun, names: list[str], error: KmesError) -> None:
    if not _speaks_of_keys(run):
        run.say(str(error), Severity.ERROR)
        return
    for name in names or [run.job.subject]:
        run.say(run.spec.wording.one_failed(name, str(error)), Severity.ERROR)
