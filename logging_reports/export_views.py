"""Pages of log exports: immediate downloads, and background exports with their progress."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from kmes.core.actor import Actor
from kmes.core.errors import KmesError
from kmes.ui.access import right_required
from kmes.ui.preferences import PLAIN, choices_of
from kmes.ui.responses import file_headers
from kmes.ui.tables import arrange
from logging_reports import export_files, export_lifecycle, report_queue, rq_jobs
from logging_reports.choices import ExportFormat
from logging_reports.export_progress import digest_of, list_exports, view_export
from logging_reports.exports import CONTENT_TYPES, stream
from logging_reports.filters import LogFilterForm
from logging_reports.models import LogExport
from logging_reports.services import record
from logging_reports.tables import ExportTable
from logging_reports.views import NO_CONTENT, refuse_filter

EXPORTS_ID = "log-exports"


@require_GET
@right_required("log.export")
def export_now(request: HttpRequest, form: str) -> HttpResponseBase:
    """Stream the filtered rows as CSV, as the user's programs read it, or as JSON Lines."""
    form = _as_chosen(request, form)
    wanted_form = LogFilterForm(request.GET)
    if not wanted_form.is_valid():
        return refuse_filter(request, wanted_form)
    wanted = wanted_form.to_filter()
    name = export_files.make_name(wanted.service, form)
    rows = stream(wanted, actor=Actor.from_user(request.user), file_name=name, form=form)
    return StreamingHttpResponse(rows, content_type=CONTENT_TYPES[form], headers=file_headers(name))


@require_POST
@right_required("log.export")
def start_export(request: HttpRequest) -> HttpResponse:
    """Request a background export."""
    form = LogFilterForm(request.POST)
    if not form.is_valid():
        return redirect("logs:list")
    asked = request.POST.get("format", "")
    kind = asked if asked in ExportFormat.values else _as_chosen(request, ExportFormat.CSV)
    try:
        rq_jobs.request_export(form.to_filter(), form=kind, query=form.query(), actor=Actor.from_user(request.user))
    except KmesError as error:
        messages.error(request, str(error))
    return redirect("logs:exports")


@require_GET
@right_required("log.export")
def show_exports(request: HttpRequest) -> HttpResponse:
    """List the background exports. htmx requests the list alone while an export is open."""
    table = ExportTable(list_exports())
    arrange(request, table)
    table.views = {row.record.pk: view_export(row.record) for row in table.paginated_rows}
    digest = digest_of(table.views.values())
    is_fragment = request.headers.get("HX-Target") == EXPORTS_ID
    if is_fragment and request.GET.get("seen") == digest:
        return HttpResponse(status=NO_CONTENT)
    context = {
        "table": table,
        "digest": digest,
        "is_live": any(export.row.is_open for export in table.views.values()),
        "exports_id": EXPORTS_ID,
        # Checked only for an empty list, where it explains why.
        "is_queue_away": not table.views and not report_queue.is_reached(),
    }
    template = "logging_reports/_exports.html" if is_fragment else "logging_reports/exports.html"
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Target"])
    return response


@require_POST
@right_required("log.export")
def cancel_export(request: HttpRequest, export_id: UUID) -> HttpResponse:
    """Cancel a queued or running export."""
    if not export_lifecycle.cancel(_export_or_404(export_id), actor=Actor.from_user(request.user)):
        messages.info(request, _("The export had ended already."))
    return redirect("logs:exports")


@require_GET
@right_required("log.export")
def download_export(request: HttpRequest, export_id: UUID) -> HttpResponseBase:
    """Send the file of an export and log the download."""
    export = _export_or_404(export_id)
    source = export_files.open_found(export.file_name)
    if source is None:
        raise Http404(_("The file of this export is not there any more."))
    record(
        "log.exported",
        actor=Actor.from_user(request.user),
        message=f"Downloaded the export {export.file_name}",
        data={"export": str(export.pk), "file": export.file_name, "bytes": export.size, "sha256": export.sha256},
    )
    response = FileResponse(
        source, as_attachment=True, filename=export.file_name, content_type=CONTENT_TYPES[export.format]
    )
    response["Cache-Control"] = "no-store"
    return response


def _as_chosen(request: HttpRequest, form: str) -> str:
    """Return the CSV format that the user chose; another format as it is."""
    is_plain = form == ExportFormat.CSV and choices_of(request).csv_encoding == PLAIN
    return ExportFormat.CSV_PLAIN if is_plain else form


def _export_or_404(export_id: UUID) -> LogExport:
    export = LogExport.objects.filter(pk=export_id).first()
    if export is None:
        raise Http404(_("There is no such export."))
    return export
