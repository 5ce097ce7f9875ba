"""State changes of background exports, each a conditional UPDATE and its log row in one transaction.

queued → running → ready | failed | cancelled; ready → expired. The database row holds the state; the
report queue carries only its id.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from kmes.core import clock, language
from kmes.core.actor import SYSTEM, Actor, Trigger
from kmes.core.errors import ConflictError, KmesError
from logging_reports import export_files
from logging_reports.choices import OPEN_EXPORT_STATES, ExportFormat, ExportState, Service
from logging_reports.exports import Outcome
from logging_reports.models import LogExport
from logging_reports.selectors import LogFilter, newest_sequence
from logging_reports.services import record

# A worker updates ``seen_at`` every few hundred rows. After so long without an update it was killed.
ABANDONED_AFTER = timedelta(minutes=2)
# One that waits longer was lost by the queue.
LOST_AFTER = timedelta(hours=6)
# The report worker writes them one after another.
MAX_OPEN_OF_A_USER = 3
MAX_OPEN = 10


def request(wanted: LogFilter, *, form: str, query: str, actor: Actor) -> LogExport:
    """Create a queued export. The caller enqueues its id after the commit.

    Raises:
        ConflictError: the user, or all users together, have too many that are not done.

    """
    with transaction.atomic():
        _check_quota(actor)
        export = LogExport.objects.create(
            service=wanted.service,
            format=ExportFormat(form),
            wanted=wanted.describe(),
            query=query,
            up_to=newest_sequence(wanted.service),
            requested_by=actor.name,
            requested_by_id=actor.user_id,
            trigger=actor.trigger.value,
            created_at=clock.now(),
        )
        _log("log.export_requested", export, actor, "Export of the %(log)s log requested")
    return export


def _check_quota(actor: Actor) -> None:
    waiting = LogExport.objects.filter(state__in=OPEN_EXPORT_STATES)
    if waiting.filter(requested_by_id=actor.user_id).count() >= MAX_OPEN_OF_A_USER or waiting.count() >= MAX_OPEN:
        raise ConflictError(
            _("Too many exports are not done yet."), _("Wait until one is ready, or cancel one, and try again.")
        )


def begin(export_id: UUID) -> LogExport | None:
    """Claim a queued export. None when it was cancelled or another worker has it."""
    moment = clock.now()
    taken = LogExport.objects.filter(pk=export_id, state=ExportState.QUEUED).update(
        state=ExportState.RUNNING, started_at=moment, seen_at=moment
    )
    return LogExport.objects.get(pk=export_id) if taken else None


def record_progress(export: LogExport, rows_done: int, *, rows_total: int | None = None) -> bool:
    """Record how many rows are done. False when the export was cancelled meanwhile."""
    values: dict[str, Any] = {"rows_done": rows_done, "seen_at": clock.now()}
    if rows_total is not None:
        values["rows_total"] = rows_total
    return LogExport.objects.filter(pk=export.pk, state=ExportState.RUNNING).update(**values) == 1


def finish(export: LogExport, *, file_name: str, size: int, outcome: Outcome) -> bool:
    """Mark an export as ready. When it was cancelled meanwhile, delete the file and return False."""
    moment = clock.now()
    with transaction.atomic():
        is_ours = LogExport.objects.filter(pk=export.pk, state=ExportState.RUNNING).update(
            state=ExportState.READY,
            rows_total=outcome.rows,
            rows_done=outcome.rows,
            file_name=file_name,
            size=size,
            sha256=outcome.sha256,
            finished_at=moment,
            expires_at=moment + timedelta(days=settings.KMES_EXPORT_KEEP_DAYS),
        )
        if is_ours:
            export.refresh_from_db()
            _log("log.export_ready", export, requester(export), "The export %(file)s is ready: %(rows)s rows")
    if not is_ours:
        export_files.remove(file_name)
    return bool(is_ours)


def fail(export: LogExport, error: KmesError) -> None:
    """Mark an export as failed, with the reason."""
    with transaction.atomic():
        if _end(export, ExportState.FAILED, error_what=error.what, error_remedy=error.remedy):
            _log("log.export_failed", export, requester(export), "Export of the %(log)s log failed: %(what)s")


def cancel(export: LogExport, *, actor: Actor) -> bool:
    """Cancel a queued or running export; the worker stops at its next update. False when it had ended."""
    with transaction.atomic():
        ended = _end(export, ExportState.CANCELLED, cancel_requested_by=actor.name)
        if ended:
            _log("log.export_cancelled", export, actor, "Export of the %(log)s log canceled")
    return ended


def fail_abandoned() -> int:
    """Mark exports as failed whose worker was killed, or which the queue lost. Return how many."""
    moment = clock.now()
    abandoned = LogExport.objects.filter(
        Q(state=ExportState.RUNNING, seen_at__lt=moment - ABANDONED_AFTER)
        | Q(state=ExportState.QUEUED, created_at__lt=moment - LOST_AFTER)
    )
    with language.of_records():
        error = KmesError(_("The report worker stopped before the export was done."), _("Ask for the export again."))
    found = list(abandoned)
    for export in found:
        fail(export, error)
    return len(found)


def expire(*, keep_days: int) -> int:
    """Delete old files and mark their exports as expired. Return how many files were deleted.

    Raises:
        KmesError: the folder can't be written.

    """
    gone = export_files.prune(keep_days=keep_days)
    LogExport.objects.filter(state=ExportState.READY, file_name__in=gone).update(state=ExportState.EXPIRED)
    return len(gone)


def requester(export: LogExport) -> Actor:
    """Return who requested the export."""
    return Actor(export.requested_by, Trigger(export.trigger), export.requested_by_id)


def _end(export: LogExport, state: ExportState, **values: Any) -> bool:
    ended = LogExport.objects.filter(pk=export.pk, state__in=OPEN_EXPORT_STATES).update(
        state=state, finished_at=clock.now(), **values
    )
    if ended:
        export.refresh_from_db()
    return bool(ended)


def _log(event: str, export: LogExport, actor: Actor, text: str) -> None:
    words = {
        "log": language.recorded(Service(export.service).label),
        "file": export.file_name,
        "rows": export.rows_done,
        "what": export.error_what,
    }
    data = {
        "export": str(export.pk),
        "format": export.format,
        "filter": export.wanted,
        "rows": export.rows_done,
        "file": export.file_name,
        "sha256": export.sha256,
    }
    kept = {name: value for name, value in data.items() if value not in ("", None)}
    record(event, actor=actor or SYSTEM, message=text % words, data=kept)
