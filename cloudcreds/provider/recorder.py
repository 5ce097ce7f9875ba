"""One log row per call to a cloud: event, subject, status, duration, the provider's request id.

The log calls this service Azure Service; names of events are the same for every provider.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from cloudcreds.provider.errors import CloudErrorKind
from kmes.core.actor import Actor
from logging_reports.choices import Severity
from logging_reports.services import Draft, Subject, record_many

# Events of failed calls by kind; the others are ``azure.call_failed``.
FAILURE_EVENTS = {
    CloudErrorKind.THROTTLED: "azure.throttled",
    CloudErrorKind.PERMISSION: "azure.permission_missing",
    CloudErrorKind.UNREACHABLE: "azure.unreachable",
    CloudErrorKind.PROXY_REFUSED: "azure.unreachable",
    CloudErrorKind.SIGN_IN_UNAVAILABLE: "azure.unreachable",
}


@dataclass(frozen=True)
class CallRecord:
    """One call and its result. ``duration_ms`` is in milliseconds."""

    event: str
    message: str
    severity: Severity | None = None
    vault: str = ""
    key_name: str = ""
    version: str = ""
    request_id: str = ""
    http_status: int | None = None
    duration_ms: int | None = None
    # What went wrong; None for a call that succeeded.
    error_kind: CloudErrorKind | None = None


class Recorder(Protocol):
    """Records calls."""

    def call(self, record: CallRecord) -> None:
        """Record one call."""


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
        """Record one call; without a sink the row is written now."""
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
