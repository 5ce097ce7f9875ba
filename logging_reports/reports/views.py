"""Pages of Reports: the list, a report with chart and table, its CSV and PDF files. Reads only."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_safe

from kmes.core.actor import Actor
from kmes.ui.access import right_required
from kmes.ui.pdf import size_asked
from kmes.ui.preferences import EXCEL, choices_of
from kmes.ui.responses import file_headers, send_file
from kmes.ui.tables import arrange
from logging_reports.reports import download
from logging_reports.reports.charts import draw_bars
from logging_reports.reports.definitions import Answer, Report
from logging_reports.reports.forms import ReportForm
from logging_reports.reports.registry import find_report, reports_for
from logging_reports.reports.tables import table_of

# Maximum rows of a report that is shown whole, to be printed.
PRINTED_ROWS = 2000
RESULTS_ID = "report-found"
_BATCH = 2000


@require_safe
@right_required("console.read")
def list_reports(request: HttpRequest) -> HttpResponse:
    """List the reports with their descriptions."""
    return render(request, "reports/home.html", {"reports": reports_for(request.user)})


def find_or_404(request: HttpRequest, name: str) -> Report:
    """Return the report.

    Raises:
        Http404: there is no such report, or the user may not see it.

    """
    report = find_report(name)
    if report is None or not request.user.has_right(report.right):  # type: ignore[union-attr]
        raise Http404(_("There is no such report."))
    return report


@require_safe
@right_required("console.read")
def show_report(request: HttpRequest, name: str) -> HttpResponse:
    """Show a report: sentence, chart and rows. ``?rows=all`` shows all rows on one page, to print."""
    report = find_or_404(request, name)
    form = report.form(request.GET)
    context: dict[str, Any] = {
        "report": report,
        "form": form,
        "table": None,
        "is_whole": False,
        "results_id": RESULTS_ID,
    }
    if form.is_valid():
        context |= _find_rows(request, report, form.cleaned_data)
    context["chips"] = form.chips()
    context["query"] = form.query()
    context["can_export"] = request.user.has_right("log.export")  # type: ignore[union-attr]
    return render(request, "reports/report.html", context, status=200 if form.is_valid() else 400)


def _find_rows(request: HttpRequest, report: Report, filters: dict[str, Any]) -> dict[str, Any]:
    answer = report.answer(filters)
    is_whole = request.GET.get("rows") == "all"
    table = table_of(report, answer)
    arrange(request, table, rows=PRINTED_ROWS if is_whole else 0)
    count = table.paginator.count
    return {
        "answer": answer,
        "chart": draw_bars(report.name, report.chart_title, answer.bars),
        "table": table,
        "count": count,
        "is_whole": is_whole,
        "is_cut": is_whole and count > PRINTED_ROWS,
        "printed_rows": PRINTED_ROWS,
    }


@require_GET
@right_required("log.export")
def export_report(request: HttpRequest, name: str) -> HttpResponseBase:
    """Stream all rows of a report as CSV, filtered and sorted like the page."""
    report = find_or_404(request, name)
    form = report.form(request.GET)
    if not form.is_valid():
        return _refuse_filter(request, report, form)
    file_name = download.make_file_name(report, "csv")
    lines = download.stream_csv(
        report,
        _sorted(request, report, report.answer(form.cleaned_data)).iterator(chunk_size=_BATCH),
        filters=form.in_use(),
        actor=Actor.from_user(request.user),
        file_name=file_name,
        for_excel=choices_of(request).csv_encoding == EXCEL,
    )
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=file_headers(file_name))


@require_GET
@right_required("log.export")
def export_pdf(request: HttpRequest, name: str) -> HttpResponseBase:
    """Send a report as a PDF file, filtered and sorted like the page; ``?paper=letter`` for American sheets."""
    report = find_or_404(request, name)
    form = report.form(request.GET)
    if not form.is_valid():
        return _refuse_filter(request, report, form)
    answer = report.answer(form.cleaned_data)
    file_name, content = download.make_report_pdf(
        report,
        answer,
        _sorted(request, report, answer),
        form=form,
        actor=Actor.from_user(request.user),
        size=size_asked(request),
    )
    return send_file(content, "application/pdf", name=file_name)


def _refuse_filter(request: HttpRequest, report: Report, form: ReportForm) -> HttpResponse:
    context = {"report": report, "form": form, "table": None, "results_id": RESULTS_ID}
    return render(request, "reports/report.html", context, status=400)


def _sorted(request: HttpRequest, report: Report, answer: Answer) -> QuerySet[Any, Any]:
    """Return the rows of an answer as the address sorts them."""
    table = table_of(report, answer)
    arrange(request, table)
    rows: QuerySet[Any, Any] = table.data.data
    return rows
