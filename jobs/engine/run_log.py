"""The log rows of a run: drafted when something happens, written last in the run's next transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
    """Drafts a run's rows, and keeps those that wait for a transaction: none is lost when one rolls back."""

    def __init__(self, job: Job, actor: Actor) -> None:
        self._job, self.actor = job, actor
        # The key group that rows are about, and the key that calls to the vault are about.
        self.group: KeyGroup | None = job.group
        self.key: Key | None = None
        self._waiting: list[Draft] = []

    def draft(self, event: str, message: str, **details: Unpack[LogDetails]) -> Draft:
        """Return a row about the job."""
        return Draft(
            event=event,
            actor=self.actor,
            message=message,
            subject=subject_of(self._job, details.get("key"), details.get("version", ""), group=self.group),
            severity=details.get("severity"),
            job_id=self._job.pk,
            job_code=self._job.code,
            data=details.get("data"),
        )

    def draft_of_call(self, draft: Draft) -> Draft:
        """Return the row of a call with the key that it is about, by its name here; the vault's name is the group's."""
        if self.key is None or draft.subject is None:
            return draft
        return replace(draft, subject=replace(draft.subject, key_id=str(self.key.pk), key=self.key.name))

    def defer(self, draft: Draft) -> None:
        """Keep a row for the next transaction."""
        self._waiting.append(draft)

    def write(self, rows: Sequence[Draft]) -> None:
        """Write the rows that waited, then those of the transaction, as its last statements.

        So the head of the log's chain is locked as briefly as possible.
        """
        rows = [*self._waiting, *rows]
        if rows:
            record_many(rows)
            # Forgotten only when the transaction has committed, else they would be lost with it.
            transaction.on_commit(self._waiting.clear)
