"""What a run may write, in the one kind of transaction it writes in.

``JobRun.write()`` opens the transaction and gives a ``RunTransaction``. A function that takes one can be called
inside that block only. Makes no call to the device or the vault.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Unpack

from jobs.choices import StepState, TargetState
from jobs.engine import lifecycle
from jobs.engine.begun_marks import mark_begun
from jobs.engine.run_log import LogDetails, RunLog
from jobs.engine.step_rows import StepRows
from jobs.models import Job, JobMessage, JobTarget
from kmes.core.clock import now
from kmes.core.row_updates import update_each
from kmes.core.stored_text import storable
from logging_reports.choices import Severity
from logging_reports.services import Draft


class RunTransaction:
    """The writes of one transaction of a run. After the block, everything on it raises.

    Raises:
        RuntimeError: the block has ended.

    """

    def __init__(self, job: Job, claim: lifecycle.Claim, *, log: RunLog, steps: StepRows, part: str) -> None:
        self._job, self._claim, self._log, self._steps, self._part = job, claim, log, steps, part
        self._is_open = True
        # Drafted in the block. They describe its writes, so they are dropped when it rolls back.
        self.log_rows: list[Draft] = []

    def close(self) -> None:
        """End the block: nothing more can be written."""
        self._is_open = False

    def require_open(self) -> None:
        """Check that the block has not ended."""
        if not self._is_open:
            raise RuntimeError("This transaction has ended; open another with run.write().")

    @property
    def job(self) -> Job:
        """The job of the run."""
        self.require_open()
        return self._job

    @property
    def claim(self) -> lifecycle.Claim:
        """The claim under which the transaction commits."""
        self.require_open()
        return self._claim

    # --- messages and log ------------------------------------------------------------------
    def add_message(self, text: str, severity: Severity = Severity.INFO) -> None:
        """Add a line to the job's messages."""
        self.add_messages([text], severity)

    def add_messages(self, lines: Sequence[str], severity: Severity = Severity.INFO) -> None:
        """Add several lines to the job's messages."""
        JobMessage.objects.bulk_create(
            JobMessage(job=self.job, at=now(), severity=severity, text=storable(line)) for line in lines
        )

    def log(self, event: str, message: str = "", **details: Unpack[LogDetails]) -> None:
        """Add a row about the job to the log. It is written last, whatever else the block writes after it."""
        self.require_open()
        self.log_rows.append(self._log.draft(event, message, **details))

    # --- steps -----------------------------------------------------------------------------
    def begin_step(self, name: str, detail: str = "", *, part: str | None = None, at: datetime | None = None) -> None:
        """Show a step as running; ``part`` and ``at`` are those of now unless given."""
        self._show_step(name, StepState.RUNNING, detail, part, at)

    def end_step(
        self,
        name: str,
        detail: str = "",
        *,
        part: str | None = None,
        at: datetime | None = None,
        is_warning: bool = False,
    ) -> None:
        """Show a step as done, or as done with a warning; ``part`` and ``at`` are those of now unless given."""
        state = StepState.WARNED if is_warning else StepState.DONE
        self._show_step(name, state, detail[:2000], part, at)

    def _show_step(self, name: str, state: StepState, detail: str, part: str | None, at: datetime | None) -> None:
        self.require_open()
        self._steps.show(name, self._part if part is None else part, state, at=at or now(), detail=storable(detail))

    def show_progress(self, name: str, detail: str) -> None:
        """Show how far a running step is."""
        self.require_open()
        self._steps.show_progress(name, self._part, storable(detail))

    def fail_running_steps(self, why: str) -> None:
        """Show the steps that were under way as failed."""
        self.require_open()
        self._steps.fail_running(storable(why))

    # --- targets ---------------------------------------------------------------------------
    def record_result(self, target: JobTarget, state: TargetState, detail: str = "") -> None:
        """Record how one key of the job came out."""
        self.record_results([(target, detail)], state)

    def record_results(self, targets: Sequence[tuple[JobTarget, str]], state: TargetState) -> None:
        """Record that several keys, each with its detail, came out alike."""
        self.require_open()
        if state == TargetState.DONE:
            mark_begun(self._job)
        for target, detail in targets:
            target.state, target.detail = state, storable(detail)
        update_each([target for target, _detail in targets], ["state", "detail"])
        if self._job.lost_runs:
            lifecycle.note_progress(self._claim)
            self._job.lost_runs = 0
