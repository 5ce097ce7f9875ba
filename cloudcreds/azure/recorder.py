"""Writes one Azure Service row per call: what, about what, status, duration, Azure's request id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from cloudcreds.azure.errors import AzureErrorKind
from kmes.core.actor import Actor
from logging_reports.choices import Severity
from logging_reports.services import Draft, Subject, record_many

# Events of failed calls by kind; the others are ``azure.call_failed``.
FAILURE_EVENTS = {
    AzureErrorKind.THROTTLED: "azure.throttled",
    AzureErrorKind.PERMISSION: "azure.permission_missing",
    AzureErrorKind.UNREACHABLE: "azure.unreachable",
}


@dataclass(frozen=True)
class CallRecord:
    """One call, as it went. ``duration_ms`` is in milliseconds."""

    event: str
    message: str
    severity: Severity | None = None
    vault: str = ""
    key_name: str = ""
    version: str = ""
    request_id: str = ""
    http_status: int | None = None
    duration_ms: int | None = None


class Recorder(Protocol):
    """Takes note of calls."""

    def call(self, record: CallRecord) -> None:
        """Take note of one call."""


class LogRecorder:
    """Writes calls to the Azure Service log, at once or through a sink that batches them."""

    def __init__(
        self,
        *,
        actor: Actor,
        subject: Subject,
        job_id: UUID | None = None,
        job_code: str = "",
        sink: Callable[[Draft], None] | None = None,
    ) -> None:
        self._actor = actor
        self._subject = subject
        self._job_id = job_id
        self._job_code = job_code
        self._sink = sink

    def call(self, record: CallRecord) -> None:
        """Take note of one call; without a sink the row is written now."""
        draft = Draft(
            event=record.event,
            actor=self._actor,
            message=record.message,
            severity=record.severity,
            subject=replace(
                self._subject,
                vault=self._subject.vault or record.vault,
                key=record.key_name or self._subject.key,
                version=record.version,
            ),
            job_id=self._job_id,
            job_code=self._job_code,
            provider_request_id=record.request_id,
            http_status=record.http_status,
            duration_ms=record.duration_ms,
        )
        if self._sink is not None:
            self._sink(draft)
        else:
            record_many([draft])
