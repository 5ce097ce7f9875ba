"""The log rows of a run: drafted when something happens, written last in the run's next transaction."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

from django.db import transaction

from jobs.engine.creation import subject_of
from jobs.models import Job
from keygroups.models import Key, KeyGroup
from kmes.core.actor import Actor
from logging_reports.choices import Severity
from logging_reports.services import Draft, record_many


class LogDetails(TypedDict, total=False):
    """What a row may say beside its event and its message."""

    key: Key | None
    version: str
    severity: Severity | None
    data: dict[str, Any] | None


class RunLog:
    """Keeps the rows that wait for a transaction. None is lost when one rolls back."""

    def __init__(self, job: Job, actor: Actor) -> None:
        self._job, self._actor = job, actor
        # The key group that rows are about.
        self.group: KeyGroup | None = job.group
        self._rows: list[Draft] = []

    def add(self, event: str, message: str, **details: Unpack[LogDetails]) -> None:
        """Draft a row about the job."""
        subject = subject_of(self._job, details.get("key"), details.get("version", ""), group=self.group)
        self.add_draft(
            Draft(
                event=event,
                actor=self._actor,
                message=message,
                subject=subject,
                severity=details.get("severity"),
                job_id=self._job.pk,
                job_code=self._job.code,
                data=details.get("data"),
            )
        )

    def add_draft(self, draft: Draft) -> None:
        """Keep a row that was drafted elsewhere, such as that of a call to Azure."""
        self._rows.append(draft)

    def write(self) -> None:
        """Write the rows, as the last statements of a transaction: the head of the log's chain stays locked briefly."""
        if self._rows:
            record_many(self._rows)
            # Forgotten only when the transaction has committed, else the rows would be lost with it.
            transaction.on_commit(self._rows.clear)
