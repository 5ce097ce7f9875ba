"""Pages of System Logs: list, row details, CSV export. Reads through selectors; changes nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from kmes.core.actor import Actor
from kmes.core.errors import KmesError
from kmes.ui.access import right_required
from logging_reports import exports, rq_jobs
from logging_reports.choices import Service
from logging_reports.filters import LogFilterForm
from logging_reports.models import LogEntry
from logging_reports.selectors import COUNT_CAP, count_capped, find_neighbourhood, find_page, list_entries
from logging_reports.services import record

if TYPE_CHECKING:
    from typing import Any

RESULTS_ID = "log-results"
_MAX_SEQUENCE = 2**63 - 2
_DETAIL_FIELDS = (
    "event",
    "actor_name",
    "actor_trigger",
    "credential",
    "vault",
    "group",
    "key",
    "version",
    "job_code",
    "job_id",
    "azure_request_id",
    "http_status",
    "duration_ms",
    "sequence",
    "previous_hash",
    "hash",
)


@require_GET
@right_required("log.read")
def show_log(request: HttpRequest) -> HttpResponse:
    """Show one log: filters, rows newest first, links to newer and older ones."""
    form = LogFilterForm(request.GET)
    context = {**_page_context(request, form), **_find_results(request, form)}
    is_fragment = request.headers.get("HX-Target") == RESULTS_ID
    template = "logging_reports/_results.html" if is_fragment else "logging_reports/list.html"
    response = render(request, template, {**context, "is_fragment": is_fragment})
    patch_vary_headers(response, ["HX-Target"])
    return response


def _page_context(request: HttpRequest, form: LogFilterForm) -> dict[str, Any]:
    can_export = request.user.has_right("log.export")  # type: ignore[union-attr]
    return {"form": form, "services": Service, "results_id": RESULTS_ID, "page": None, "can_export": can_export}


def _find_results(request: HttpRequest, form: LogFilterForm) -> dict[str, Any]:
    if not form.is_valid():
        return {}
    rows = list_entries(form.to_filter())
    page = find_page(rows, before=_position(request, "before"), after=_position(request, "after"))
    count = count_capped(rows)
    return {
        "page": page,
        "count": count,
        "count_cap": COUNT_CAP,
        "chips": form.chips(),
        "query": form.query(),
        "newer_query": form.query(after=page.newer) if page.newer is not None else "",
        "older_query": form.query(before=page.older) if page.older is not None else "",
    }


def _position(request: HttpRequest, name: str) -> int | None:
    """Read a page position; nonsense means the newest page, not an error."""
    text = request.GET.get(name, "")
    return min(int(text), _MAX_SEQUENCE) if re.fullmatch("[0-9]{1,19}", text) else None


@require_GET
@right_required("log.read")
def show_entry(request: HttpRequest, service: str, sequence: int) -> HttpResponse:
    """Show all of one row, its neighbours, and whether the chain holds around it."""
    try:
        near = find_neighbourhood(service, min(sequence, _MAX_SEQUENCE))
    except LogEntry.DoesNotExist:
        raise Http404(_("There is no such log row.")) from None
    return render(
        request, "logging_reports/detail.html", {"near": near, "entry": near.entry, "fields": _list_fields(near.entry)}
    )


def _list_fields(entry: LogEntry) -> list[tuple[str, str]]:
    """Return the filled fields the page doesn't show in a form of their own."""
    found = ((getattr(LogEntry, name).field.verbose_name, getattr(entry, name)) for name in _DETAIL_FIELDS)
    return [(str(label), str(value)) for label, value in found if value not in (None, "")]


@require_GET
@right_required("log.export")
def export_csv(request: HttpRequest) -> HttpResponseBase:
    """Stream exactly the filtered rows as CSV."""
    form = LogFilterForm(request.GET)
    if not form.is_valid():
        return render(request, "logging_reports/list.html", _page_context(request, form), status=400)
    wanted = form.to_filter()
    name = exports.make_file_name(wanted.service)
    rows = exports.stream_csv(wanted, actor=Actor.from_user(request.user), file_name=name)
    return StreamingHttpResponse(rows, content_type="text/csv; charset=utf-8", headers=_file_headers(name))


@require_POST
@right_required("log.export")
def start_export(request: HttpRequest) -> HttpResponse:
    """Hand a large export to the report worker."""
    form = LogFilterForm(request.POST)
    if not form.is_valid():
        return redirect("logs:list")
    try:
        rq_jobs.request_export(form.to_filter(), actor=Actor.from_user(request.user))
        messages.success(request, _("The export is being prepared. It appears here when it is done."))
    except KmesError as error:
        messages.error(request, str(error))
    return redirect("logs:exports")


@require_GET
@right_required("log.export")
def show_exports(request: HttpRequest) -> HttpResponse:
    """List the prepared export files."""
    try:
        files = exports.list_files()
    except KmesError as error:
        messages.error(request, str(error))
        files = []
    return render(request, "logging_reports/exports.html", {"files": files})


@require_GET
@right_required("log.export")
def download_export(request: HttpRequest, name: str) -> HttpResponseBase:
    """Send a prepared export file, and log that it left."""
    path = exports.find_file(name)
    if path is None:
        raise Http404(_("There is no such export; it may have been pruned."))
    source = path.open("rb")
    record(
        "log.exported",
        actor=Actor.from_user(request.user),
        message=f"Downloaded the export {name}",
        data={"file": name, "bytes": path.stat().st_size},
    )
    response = FileResponse(source, as_attachment=True, filename=name, content_type="text/csv; charset=utf-8")
    response["Cache-Control"] = "no-store"
    return response


def _file_headers(name: str) -> dict[str, str]:
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
