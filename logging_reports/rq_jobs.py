"""Tasks of the report worker: large exports and their removal.

They use the database and the export folder, never the HSM, Azure or a secret. A message carries only the id of a row;
the row says what to do.
"""

from __future__ import annotations

import time
from uuid import UUID

from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from kmes.core import language, options
from kmes.core.actor import Actor
from kmes.core.errors import KmesError
from logging_reports import export_files, export_lifecycle, report_queue
from logging_reports.exports import Outcome, stream
from logging_reports.models import LogExport
from logging_reports.selectors import LogFilter, list_entries

_TIMEOUT_SECONDS = 3600
_PROGRESS_SECONDS = 0.5


class ExportCancelled(Exception):
    """The export was cancelled while its file was written."""


def request_export(wanted: LogFilter, *, form: str, query: str = "", actor: Actor) -> LogExport:
    """Create an export and enqueue it for the report worker.

    Raises:
        KmesError: the queue can't be reached; the export is marked as failed.

    """
    export_lifecycle.fail_abandoned()
    export = export_lifecycle.request(wanted, form=form, query=query, actor=actor)
    try:
        report_queue.enqueue(run_export, str(export.pk))
    except RedisError as error:
        with language.of_records():
            export_lifecycle.fail(export, _no_queue())
        raise _no_queue() from error
    return export


def _no_queue() -> KmesError:
    return KmesError(
        _("The report queue can't be reached, so no export was started."),
        _("Try again in a minute, or export a narrower filter directly."),
        retryable=True,
        code="queue",
    )


@report_queue.report_task(timeout_seconds=_TIMEOUT_SECONDS)
def run_export(export_id: str) -> str:
    """Write the file of one export and record its progress. Return the file's name, "" without a file.

    Deletes old files afterwards, so that the folder can't grow without limit.
    """
    with language.of_records():
        return _run(UUID(export_id))


def _run(export_id: UUID) -> str:
    export_lifecycle.fail_abandoned()
    export = export_lifecycle.begin(export_id)
    if export is None:
        return ""
    name = export_files.make_name(export.service, export.format, unique=True)
    try:
        is_ready = _write(export, name)
        prune_exports()
    except ExportCancelled:
        return ""
    except KmesError as error:
        export_lifecycle.fail(export, error)
        return ""
    except Exception as error:
        what = _("The export stopped by an error (%(name)s).") % {"name": type(error).__name__}
        export_lifecycle.fail(export, KmesError(what, _("Ask for the export again; the worker's own log says more.")))
        raise
    return name if is_ready else ""


def _write(export: LogExport, name: str) -> bool:
    wanted, outcome = LogFilter.from_plain(export.wanted), Outcome()
    total = list_entries(wanted).filter(sequence__lte=export.up_to).count()
    export_lifecycle.record_progress(export, 0, rows_total=total)
    told_at = time.monotonic()

    def tell(rows_done: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at < _PROGRESS_SECONDS:
            return
        told_at = time.monotonic()
        if not export_lifecycle.record_progress(export, rows_done):
            raise ExportCancelled

    with export_files.new_file(name) as target:
        target.writelines(
            stream(
                wanted,
                actor=export_lifecycle.requester(export),
                file_name=name,
                form=export.format,
                up_to=export.up_to,
                outcome=outcome,
                progress=tell,
            )
        )
        size = target.tell()
    return export_lifecycle.finish(export, file_name=name, size=size, outcome=outcome)


def prune_exports() -> int:
    """Delete exports older than the option ``export_keep_days``. Return how many files were deleted."""
    return export_lifecycle.expire(keep_days=options.value("export_keep_days"))
