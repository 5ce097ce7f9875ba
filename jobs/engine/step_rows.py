"""The rows of a job's visible steps. They are written through ``RunTransaction`` only."""

from __future__ import annotations

from datetime import datetime

from jobs.choices import StepState
from jobs.models import Job, JobStep
from kmes.core.clock import now


class StepRows:
    """Writes the steps of one job; a step done before a crash keeps its row."""

    def __init__(self, job: Job) -> None:
        self._job = job
        # A job on several key groups has each step once per group: names and parts of the rows there are.
        self._existing = set(job.steps.values_list("name", "subject"))
        self._ordinal = len(self._existing)

    def show(self, name: str, part: str, state: StepState, *, at: datetime, detail: str) -> None:
        """Write how a step is, with one statement where its row exists."""
        finished_at = None if state == StepState.RUNNING else at
        rows = JobStep.objects.filter(job=self._job, name=name, subject=part)
        # A row that was rolled back is made anew.
        if (name, part) not in self._existing or not rows.update(state=state, finished_at=finished_at, detail=detail):
            self._existing.add((name, part))
            self._ordinal += 1
            JobStep.objects.create(
                job=self._job,
                name=name,
                subject=part,
                ordinal=self._ordinal,
                state=state,
                started_at=at,
                finished_at=finished_at,
                detail=detail,
            )

    def show_progress(self, name: str, part: str, detail: str) -> None:
        """Write how far a running step is."""
        rows = JobStep.objects.filter(job=self._job, name=name, subject=part, state=StepState.RUNNING)
        rows.update(detail=detail)

    def fail_running(self, why: str) -> None:
        """Write that the steps that were under way failed."""
        JobStep.objects.filter(job=self._job, state=StepState.RUNNING).update(
            state=StepState.FAILED, finished_at=now(), detail=why[:2000]
        )
