"""Runs one job from claim to end. The only place where a runner's errors become a job's state. Imports no kind."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, IntegrityError
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from jobs.choices import JobState, StepState, TargetState
from jobs.engine import admission, fresh_grants, hints, lifecycle, parts
from jobs.engine.approval_checks import check_approved
from jobs.engine.authenticity import NotGenuine
from jobs.engine.cancellation import find_request
from jobs.engine.chains import create_next
from jobs.engine.compatibility import can_run
from jobs.engine.entitlement import check_authentic, check_requester
from jobs.engine.gateways import describe_clocks
from jobs.engine.interruptions import Cancelled, PartsFailed, PartsUnderWay, WaitUntil, Yielded
from jobs.engine.lifecycle import LeaseLost
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner
from jobs.engine.transaction import RunTransaction
from jobs.engine.undone import outcome_of, record_undone
from jobs.models import Job, JobTarget
from jobs.spec import JobSpec, registry
from kmes.core.actor import Trigger
from kmes.core.clock import now
from kmes.core.errors import KmesError, PermissionRefused
from logging_reports.choices import Severity
from logging_reports.services import LogWriteError

logger = logging.getLogger(__name__)

# Tries before a transient failure ends the job: a person waits for an answer, a schedule does not.
TRIES_FOR_USERS = 3
# Seconds until the next try: the longest own delay, and the longest that a provider may ask for.
LONGEST_OWN_DELAY = 300
LONGEST_DELAY = 900
# The job went to its end; what failed are keys, of which each says why.
TARGETS_FAILED = "targets_failed"
# Seconds after which a job that waited is certainly due.
HINT_MARGIN = 0.2
# Seconds until a job looks again whose call was given up for others.
GIVEN_UP_DELAY = 5


def load_runners() -> None:
    """Load the runner of each kind, before the worker forks: its processes then share them."""
    for spec in registry:
        _runner_of(spec)


def execute(job_id: UUID, *, owner: str) -> UUID | None:
    """Run a job if it can be claimed. Return the job that waited for the Azure key it held, if any."""
    try:
        may_start = can_run(job_id) and admission.may_start(job_id, owner=owner)
        claim = lifecycle.claim(job_id, owner=owner) if may_start else None
    except DatabaseError:
        logger.exception("job %s can't be claimed now: the database failed", job_id)
        return None
    if claim is None:
        return None
    job = Job.objects.select_related("group__vault__credential", "credential").get(pk=job_id)
    run = JobRun(job, claim)
    try:
        with lifecycle.heartbeat(claim):
            _run(run)
    except LeaseLost:
        logger.warning("%s was taken over by another worker", job)
    except (DatabaseError, LogWriteError):
        # Nothing can be written now. The lease runs out, and the next run begins by looking.
        logger.exception("%s stops: the database failed", job)
        return None
    admission.end_probe(job)
    parts.report_end(job)
    return lifecycle.next_in_line(job.azure_lock)


def _run(run: JobRun) -> None:
    try:
        check_authentic(run)
        _refuse_after_lost_runs(run)
        check_requester(run)
        check_approved(run.job)
        _announce_start(run)
        _runner_of(run.spec).run(run)
        _finish(run)
    except LeaseLost:
        raise
    except IntegrityError:
        # Not transient: a retry would violate the same constraint.
        logger.exception("%s would break a rule of the database", run.job)
        _fail_or_retry(run, _unexpected())
    except DatabaseError:
        raise
    except PartsUnderWay as wait:
        _wait_for_parts(run, wait)
    except WaitUntil as wait:
        _release(run, wait)
    except Cancelled as cancelled:
        _end(run, JobState.CANCELLED, cancelled)
    except KmesError as error:
        _fail_or_retry(run, error)
    except Exception:
        # Like a crash: the next run begins by looking at what this one left behind.
        logger.exception("%s met an unexpected error", run.job)
        _fail_or_retry(run, _unexpected())


def _runner_of(spec: JobSpec) -> Runner:
    runner: Runner = import_string(spec.runner)
    return runner


def _unexpected() -> KmesError:
    return KmesError(
        _("An unexpected error stopped the job."),
        _("Retry it; if it happens again, give the job's number to the server's administrator."),
        retryable=True,
        code="unexpected",
    )


def _is_hopeless(run: JobRun) -> bool:
    return bool(run.job.lost_runs >= settings.KMES_MAX_LOST_RUNS)


def _refuse_after_lost_runs(run: JobRun) -> None:
    """Refuse to run a job that has lost so many workers that it may be what kills them.

    Raises:
        KmesError: it has.

    """
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


def _counts_keys(run: JobRun) -> bool:
    return run.spec.counts_keys


def _announce_start(run: JobRun) -> None:
    """Record that the job begins, with its first write."""
    if run.job.messages.exists():
        if run.job.lost_runs:
            run.defer(lambda tx: tx.add_message(_("The worker was lost; another one continues."), Severity.WARNING))
        return
    run.log_deferred("job.started", f"{run.job.recorded_title}: {run.job.subject}")
    if _counts_keys(run):
        # A rotation's visible work is the push of its new key.
        run.defer(lambda tx: tx.add_message(run.spec.wording.start(_count(run))))


def _finish(run: JobRun) -> None:
    undone = run.job.targets.filter(state__in=[TargetState.FAILED, TargetState.NOT_TRIED])
    details = list(undone.values_list("detail", flat=True))
    if not details:
        _succeed(run)
        return
    reasons = [detail for detail in details if detail]
    state = JobState.PARTLY_FAILED if run.job.targets.filter(state=TargetState.DONE).exists() else JobState.FAILED
    what = outcome_of(run) or _("The key failed")
    _end(run, state, KmesError(f"{what}.", reasons[0] if reasons else "", code=TARGETS_FAILED))


def _succeed(run: JobRun) -> None:
    """Finish a job whose work is done: with a warning where a step says that something is left behind."""
    with run.write() as tx:
        tx.add_messages(describe_clocks(run), Severity.WARNING)
        if _counts_keys(run):
            tx.add_message(run.spec.wording.all_done(_count(run)))
        left = [step.detail for step in run.job.steps.filter(state=StepState.WARNED)]
        text = "; ".join([f"{run.job.recorded_title}: {run.job.subject}", *left])
        tx.log("job.finished", text, severity=Severity.WARNING if left else None)
        lifecycle.finish(run.claim, JobState.WARNED if left else JobState.SUCCEEDED)
        _create_next(tx, run)


def _create_next(tx: RunTransaction, run: JobRun) -> None:
    """Create the job that was to follow this one, in the transaction that finishes it."""
    try:
        following = create_next(tx.job, actor=run.actor)
    except KmesError as error:
        lifecycle.add_warning(tx.job.pk, error)
        tx.add_message(_("What was to follow can't be started: %(error)s") % {"error": error}, Severity.ERROR)
        return
    if following is not None:
        tx.add_message(_("Going on with %(job)s: %(title)s") % {"job": following, "title": following.title})


def _release(run: JobRun, wait: WaitUntil) -> None:
    if (cancelled := find_request(run)) is not None:
        _end(run, JobState.CANCELLED, cancelled)
        return
    if wait.counts_as_failure and run.job.failures + 1 >= _tries(run):
        _end(run, JobState.FAILED, KmesError(wait.what, _("Retry the job.")))
        return
    with run.write() as tx:
        tx.add_message(_("Waiting: %(what)s") % {"what": wait.what}, Severity.WARNING)
        lifecycle.release(
            run.claim,
            run_after=now() + timedelta(seconds=wait.seconds),
            waiting_for=wait.what,
            count_failure=wait.counts_as_failure,
        )
        if not wait.seconds:
            # It runs again after the jobs that wait now, and not only with the next scan.
            hints.send_on_commit(run.job.pk)


def _wait_for_parts(run: JobRun, wait: PartsUnderWay) -> None:
    with run.write():
        lifecycle.release(run.claim, run_after=now() + timedelta(seconds=wait.seconds), waiting_for=wait.what)
    # What ended before the release could not wake the job.
    parts.wake_if_fewer_open(run.job, than=wait.open_parts)


def _tries(run: JobRun) -> int:
    return settings.KMES_MAX_ATTEMPTS if run.actor.trigger == Trigger.SCHEDULE else TRIES_FOR_USERS


def _fail_or_retry(run: JobRun, error: KmesError) -> None:
    pause = fresh_grants.pause_after(run.job, error)
    if (error.retryable or pause is not None) and (cancelled := find_request(run)) is not None:
        _end(run, JobState.CANCELLED, cancelled)
        return
    if pause is not None:
        _wait_for_grant(run, error, pause)
        return
    if isinstance(error, CloudError) and error.kind == CloudErrorKind.STOPPED:
        _release(run, Yielded(_("its vault, which answers slowly: other jobs go first"), seconds=GIVEN_UP_DELAY))
        return
    if not error.retryable or run.job.failures + 1 >= _tries(run):
        _end(run, JobState.FAILED, error)
        return
    delay = _delay_after(error, run.job.failures)
    with run.write() as tx:
        tx.fail_running_steps(str(error))
        tx.add_message(
            _("%(error)s Trying again in %(seconds)d s.") % {"error": error, "seconds": delay}, Severity.WARNING
        )
        lifecycle.release(
            run.claim, run_after=now() + timedelta(seconds=delay), waiting_for=error.what, count_failure=True
        )


def _wait_for_grant(run: JobRun, error: KmesError, pause: float) -> None:
    with run.write() as tx:
        tx.fail_running_steps(str(error))
        tx.add_message(
            _("%(what)s A new grant needs up to 15 minutes. Trying again with a new sign-in in %(seconds)d s.")
            % {"what": error.what, "seconds": pause},
            Severity.WARNING,
        )
        fresh_grants.record_wait(run.job)
        waiting_for = _("a new grant, which needs up to 15 minutes: %(what)s") % {"what": error.what}
        lifecycle.release(run.claim, run_after=now() + timedelta(seconds=pause), waiting_for=waiting_for)
        # Somebody watches the countdown to it.
        hints.send_after_commit(run.job.pk, seconds=pause + HINT_MARGIN)


def _delay_after(error: KmesError, failures: int) -> float:
    """Return the seconds until the next try: what the provider asked for, if that is longer than the own delay."""
    asked = error.retry_after if isinstance(error, CloudError) else None
    own = min(LONGEST_OWN_DELAY, 3.0 ** (failures + 1))
    return float(max(own, min(LONGEST_DELAY, asked or 0.0)))


def _end(run: JobRun, state: JobState, error: KmesError) -> None:
    """End a job that did not go well: clean up, and record why, for each pending key too."""
    runner = _runner_of(run.spec)
    cancelled = run.is_hurried = state == JobState.CANCELLED
    if isinstance(error, NotGenuine):
        run.disown()
    # A run whose job loses its workers must get to its end, and one of an unchecked job does nothing: the sweep
    # removes what is left.
    if run.requested_keys is not None and not _is_hopeless(run):
        try:
            runner.clean_up(run)
        except LeaseLost:
            raise
        except KmesError as left:
            logger.warning("%s leaves its clean-up to the sweep: %s", run.job, left)
    with run.write() as tx:
        pending = list(run.job.targets.filter(state=TargetState.PENDING).select_related("key"))
        tx.add_messages([line for line in describe_clocks(run) if line not in str(error)], Severity.WARNING)
        if cancelled:
            tx.record_results([(target, str(error)) for target in pending], TargetState.SKIPPED)
            tx.add_message(str(error), Severity.WARNING)
        else:
            _record_failure(tx, run, pending, error)
        for target in pending:
            runner.abandon_key(tx, target.key)
        tx.fail_running_steps(str(error))
        is_partial = error.is_partial if isinstance(error, PartsFailed) else False
        if state == JobState.FAILED and (is_partial or run.job.targets.filter(state=TargetState.DONE).exists()):
            state = JobState.PARTLY_FAILED
        if not cancelled:
            runner.log_failure(tx, error)
        outcome = "" if error.code == TARGETS_FAILED else outcome_of(run)
        text = f"{run.job.recorded_title}: {error}" + (f" ({outcome})" if outcome else "")
        if isinstance(error, NotGenuine):
            row, signer = run.job, run.job.request_signer or "nobody"
            tx.log(
                "job.not_genuine",
                f"{text} Its row names {row.actor_name} as its requester, the trigger {row.trigger}, "
                f"and {signer} as its signer.",
            )
        else:
            tx.log(_event_of_end(error, cancelled=cancelled), text)
        lifecycle.finish(run.claim, state, error=error)


def _event_of_end(error: KmesError, *, cancelled: bool) -> str:
    if cancelled:
        return "job.cancelled"
    return "job.refused" if isinstance(error, PermissionRefused) else "job.failed"


def _record_failure(tx: RunTransaction, run: JobRun, pending: list[JobTarget], error: KmesError) -> None:
    """Record how the keys of a failed job came out, and say why, once."""
    wording = run.spec.wording
    if pending and _counts_keys(run):
        record_undone(tx, run, pending, error, wording=wording)
    elif pending:
        tx.record_results([(target, str(error)) for target in pending], TargetState.FAILED)
        tx.add_message(str(error), Severity.ERROR)
    elif _counts_keys(run) and error.code != TARGETS_FAILED:
        tx.add_message(wording.one_failed(run.job.subject, str(error)), Severity.ERROR)
    elif not _counts_keys(run):
        tx.add_message(str(error), Severity.ERROR)
    if outcome := outcome_of(run):
        tx.add_message(outcome, Severity.ERROR)
