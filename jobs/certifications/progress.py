"""Moves self-certifications on: the only writer of their state.

Whoever learns that a job has ended calls ``follow``; the scan calls ``follow_all`` for what nobody told.
Each move is one transaction that locks the run's row, and each step's job has an idempotency key, so any
number of callers do the same once. After a failure the clean-up steps are still done.
"""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from jobs.certifications.checklist import BY_NAME, verdict
from jobs.certifications.evidence import evidence_of
from jobs.certifications.models import Certification, CertificationStep
from jobs.certifications.signatures import is_genuine
from jobs.certifications.steps import STEP_KEY, WORK, Run
from jobs.choices import FINAL_STATES, SUCCEEDED_STATES, CertificationState, CheckState
from jobs.models import Job
from kmes.core import language
from kmes.core.actor import SYSTEM, Actor, Trigger
from kmes.core.clock import now
from kmes.core.errors import KmesError, PermissionRefused
from logging_reports.choices import Severity
from logging_reports.services import Subject, record

logger = logging.getLogger(__name__)

_OPEN = (CheckState.PENDING, CheckState.RUNNING)
_NO_PERMISSION = "azure.permission"


def follow(job_id: UUID) -> None:
    """Move on the self-certification that a job belongs to, if it belongs to one."""
    step = CertificationStep.objects.filter(job_id=job_id, state=CheckState.RUNNING).first()
    if step is not None:
        advance(step.certification_id)


def follow_all() -> None:
    """Move on every self-certification that runs: what a crash or a cancelled job left standing."""
    for pk in list(Certification.objects.filter(state=CertificationState.RUNNING).values_list("pk", flat=True)):
        try:
            advance(pk)
        except Exception:
            # One run that can't be moved on must not keep the others waiting; the next scan tries again.
            logger.exception("the self-certification %s could not be moved on", pk)


def advance(certification_id: UUID) -> None:
    """Take note of steps that ended and begin the next; harmless to call any number of times."""
    with transaction.atomic():
        found = Certification.objects.select_for_update().filter(pk=certification_id, state=CertificationState.RUNNING)
        certification = found.first()
        if certification is None:
            return
        # Without its key group a run can do nothing, and says so at its next step.
        if certification.group_id is not None and not is_genuine(certification):
            _refuse(certification)
            return
        while step := certification.steps.filter(state__in=_OPEN).order_by("ordinal").first():
            if step.state == CheckState.RUNNING and not _settle(certification, step):
                return
            if step.state == CheckState.PENDING:
                _begin(certification, step)
        _finish(certification)


# --- One step --------------------------------------------------------------------------------
def _begin(certification: Certification, row: CertificationStep) -> None:
    """Start the step's job, or say why the step does not apply or could not be started."""
    work, group = WORK[row.name], certification.load_group()
    if group is None:
        _end(certification, row, CheckState.FAILED, _("The key group of this run no longer exists."))
        return
    if reason := work.why_not(group):
        _write(row, CheckState.SKIPPED, reason)
        return
    key = f"{STEP_KEY}{certification.pk}:{row.name}"
    asker = Actor(certification.actor_name, Trigger.USER, certification.requested_by_id)
    try:
        job = _ask(Run(certification, group, asker, key), row)
    except KmesError as error:
        _end(certification, row, CheckState.FAILED, str(error))
        return
    CertificationStep.objects.filter(pk=row.pk).update(state=CheckState.RUNNING, job=job, started_at=now())


def _ask(run: Run, row: CertificationStep) -> Job:
    """Ask for the step's job; who lost the right meanwhile must not keep the clean-up from being done."""
    work = WORK[row.name]
    try:
        with transaction.atomic():
            return work.start(run)
    except PermissionRefused:
        if not BY_NAME[row.name].is_cleanup:
            raise
        return work.start(Run(run.certification, run.group, SYSTEM, run.idempotency_key))


def _settle(certification: Certification, row: CertificationStep) -> bool:
    """Take note of the step's job when it has ended. Return whether it has."""
    job = row.job
    if job is None:
        _end(certification, row, CheckState.FAILED, _("The job of this step no longer exists."))
        return True
    if job.state not in FINAL_STATES:
        return False
    group = certification.load_group()
    if job.state in SUCCEEDED_STATES and group is not None:
        CertificationStep.objects.filter(pk=row.pk).update(evidence=evidence_of(row.name, job, group))
        _write(row, CheckState.DONE, "", ended_by=job)
        return True
    why = f"{job.error_what} {job.error_remedy}".strip() or str(job.get_state_display())
    forgiven = BY_NAME[row.name].forgives and job.error_code == _NO_PERMISSION
    _end(certification, row, CheckState.UNPROVEN if forgiven else CheckState.FAILED, why, ended_by=job)
    return True


def _end(
    certification: Certification, row: CertificationStep, state: CheckState, detail: str, *, ended_by: Job | None = None
) -> None:
    """Write down a step that did not go well; after a failure only the clean-up is left to do."""
    _write(row, state, detail, ended_by=ended_by)
    if state != CheckState.FAILED:
        return
    for other in certification.steps.filter(state=CheckState.PENDING):
        if not BY_NAME[other.name].is_cleanup:
            _write(
                other, CheckState.SKIPPED, _("Not reached: “%(title)s” failed.") % {"title": BY_NAME[row.name].title}
            )


def _write(row: CertificationStep, state: CheckState, detail: str, *, ended_by: Job | None = None) -> None:
    finished_at = ended_by.finished_at if ended_by is not None else now()
    CertificationStep.objects.filter(pk=row.pk).update(state=state, detail=detail, finished_at=finished_at)
    row.state = state


def _refuse(certification: Certification) -> None:
    """End a run that nobody is known to have asked for. Its clean-up is left out too: it would delete and destroy keys."""
    why = _("The run carries no valid signature: it was asked for by an earlier release, or past the console.")
    for row in certification.steps.filter(state__in=_OPEN):
        _write(row, CheckState.FAILED, why)
    Certification.objects.filter(pk=certification.pk).update(state=CertificationState.FAILED, finished_at=now())
    record(
        "certification.not_genuine",
        actor=SYSTEM,
        message=f"Self-certification {certification} on vault {certification.vault_name} refused: {why}",
        subject=Subject(vault=certification.vault_name, group_id=str(certification.group_id or "")),
    )


# --- The end ---------------------------------------------------------------------------------
def _finish(certification: Certification) -> None:
    state = verdict(list(certification.steps.all()))
    Certification.objects.filter(pk=certification.pk).update(state=state, finished_at=now())
    group = certification.load_group()
    record(
        "certification.finished",
        actor=SYSTEM,
        severity=Severity.ERROR if state == CertificationState.FAILED else None,
        message=(
            f"Self-certification {certification} on vault {certification.vault_name}: {language.recorded(state.label)}"
        ),
        subject=Subject(
            vault=certification.vault_name,
            group_id=str(certification.group_id or ""),
            group=group.name if group else "",
        ),
    )
