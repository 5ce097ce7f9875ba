"""Pages of System Logs: list, live tail, row details, checkpoints. Reads only."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from kmes.core.ids import job_label
from kmes.ui.access import right_required
from kmes.ui.tables import apply_layout, arrange, layout_of
from logging_reports import checkpoints
from logging_reports.choices import Service
from logging_reports.filters import JumpForm, LogFilterForm
from logging_reports.models import CheckpointTimeStamp, LogCheckpoint, LogEntry
from logging_reports.notices.notice_links import find_subject_page
from logging_reports.selectors import (
    NEW_ROWS_CAP,
    LogFilter,
    count_cap,
    count_capped,
    count_newer,
    find_neighborhood,
    find_page,
    find_sequence_at,
    list_entries,
    list_saved_filters,
    newest_sequence,
)
from logging_reports.tables import CheckpointTable, LogTable

RESULTS_ID = "log-results"
NO_CONTENT = 204
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
    "provider_request_id",
    "http_status",
    "duration_ms",
    "sequence",
    "previous_hash",
    "hash",
)


@require_GET
@right_required("log.read")
def show_log(request: HttpRequest) -> HttpResponse:
    """Show one log: filters, rows newest first, links to newer and older rows."""
    form = LogFilterForm(request.GET)
    is_fragment = request.headers.get("HX-Target") == RESULTS_ID
    context = {**_page_context(request, form), **_find_results(request, form)}
    if not is_fragment:
        context["saved_filters"] = list_saved_filters(int(request.user.pk or 0))
    template = "logging_reports/_results.html" if is_fragment else "logging_reports/list.html"
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Target"])
    return response


def _page_context(request: HttpRequest, form: LogFilterForm) -> dict[str, Any]:
    can_export = request.user.has_right("log.export")  # type: ignore[union-attr]
    return {"form": form, "services": Service, "results_id": RESULTS_ID, "page": None, "can_export": can_export}


def refuse_filter(request: HttpRequest, form: LogFilterForm) -> HttpResponse:
    """Show the page with the errors of its filter."""
    return render(request, "logging_reports/list.html", _page_context(request, form), status=400)


def _find_results(request: HttpRequest, form: LogFilterForm) -> dict[str, Any]:
    if not form.is_valid():
        return {}
    wanted, jump = form.to_filter(), JumpForm(request.GET)
    before, after = _position(request, "before"), _position(request, "after")
    if before is None and after is None and (moment := jump.moment):
        # The last row before the moment comes first. A log that begins later shows its oldest rows.
        before = (find_sequence_at(wanted.service, moment) or 0) + 1
    # Read before the page, so that a row written in between counts as new.
    newest = newest_sequence(wanted.service)
    rows = list_entries(wanted)
    size, cap = layout_of(request, LogTable).page_size, count_cap(wanted)
    page = find_page(rows, before=before, after=after, size=size)
    table = LogTable(page.rows)
    table.query = form.query()
    apply_layout(request, table)
    return {
        "page": page,
        "table": table,
        "count": count_capped(rows, cap=cap),
        "count_cap": cap,
        "chips": form.chips(),
        "query": table.query,
        "jump": jump,
        "newer_query": form.query(after=page.newer) if page.newer is not None else "",
        "older_query": form.query(before=page.older) if page.older is not None else "",
        "tail": _tail(form, newest, 0) if before is None and after is None else None,
        "checkpoint": checkpoints.find_state(),
    }


def _position(request: HttpRequest, name: str) -> int | None:
    """Read a page position. An invalid one means the newest page."""
    text = request.GET.get(name, "")
    return min(int(text), _MAX_SEQUENCE) if re.fullmatch("[0-9]{1,19}", text) else None


# --- Live tail -------------------------------------------------------------------------------
@require_GET
@right_required("log.read")
def show_tail(request: HttpRequest) -> HttpResponse:
    """Show how many rows are newer than those on the page; 204 while that number is unchanged."""
    form = LogFilterForm(request.GET)
    than, seen = _position(request, "than"), _position(request, "seen") or 0
    if than is None or not form.is_valid():
        return HttpResponse(status=NO_CONTENT)
    is_paused, is_asked = "paused" in request.GET, "ask" in request.GET
    new = seen if is_paused else count_newer(list_entries(form.to_filter()), than)
    if new == seen and not is_paused and not is_asked:
        return HttpResponse(status=NO_CONTENT)
    tail = {**_tail(form, than, new), "is_paused": is_paused}
    return render(request, "logging_reports/_tail.html", {"tail": tail, "results_id": RESULTS_ID})


def _tail(form: LogFilterForm, than: int, new: int) -> dict[str, Any]:
    return {
        "than": than,
        "new": new,
        "cap": NEW_ROWS_CAP,
        "query": form.query(than=than, seen=str(new)),
        "list_query": form.query(),
        "is_paused": False,
    }


# --- One row ---------------------------------------------------------------------------------
@require_GET
@right_required("log.read")
def show_entry(request: HttpRequest, service: str, sequence: int) -> HttpResponse:
    """Show one row, its neighbors within the filter, and whether the chain is valid there."""
    form = LogFilterForm(request.GET, service=service)
    wanted = form.to_filter() if form.is_valid() else LogFilter(service=service)
    try:
        near = find_neighborhood(replace(wanted, service=service), min(sequence, _MAX_SEQUENCE))
    except LogEntry.DoesNotExist:
        raise Http404(_("There is no such log row.")) from None
    context = {
        "near": near,
        "entry": near.entry,
        "mark": checkpoints.mark_of(near),
        "fields": _list_fields(near.entry),
        "chips": form.chips() if form.is_valid() else [],
        "form": form,
        "query": form.query() if form.is_valid() else "",
        # The list to return to begins with this row.
        "back_query": form.query(before=near.entry.sequence + 1) if form.is_valid() else f"service={service}",
        "about_url": find_subject_page([near.entry]),
    }
    return render(request, "logging_reports/detail.html", context)


def _list_fields(entry: LogEntry) -> list[tuple[str, str]]:
    """Return the labels and values of the fields that have a value."""
    values = {name: getattr(entry, name) for name in _DETAIL_FIELDS} | {"job_code": job_label(entry.job_code)}
    found = ((getattr(LogEntry, name).field.verbose_name, value) for name, value in values.items())
    fields = [(capfirst(str(label)), str(value)) for label, value in found if value not in (None, "")]
    if second := entry.second_administrator:
        fields.insert(1, (_("Second administrator"), second))
    return fields


# --- Checkpoints -----------------------------------------------------------------------------
@require_GET
@right_required("log.read")
def show_checkpoints(request: HttpRequest) -> HttpResponse:
    """List the checkpoints, newest first, each with its anchor file and time stamp."""
    table = CheckpointTable(LogCheckpoint.objects.order_by("-number"))
    arrange(request, table)
    table.statements = {row.record.number: checkpoints.statement_of(row.record) for row in table.paginated_rows}
    shown = CheckpointTimeStamp.objects.filter(number__in=table.statements).defer("response")
    table.time_stamps = {each.number: each for each in shown}
    context = {"table": table, "state": checkpoints.find_state()}
    return render(request, "logging_reports/checkpoints.html", context)


@require_GET
@right_required("log.read")
def download_anchor(_request: HttpRequest, number: int) -> HttpResponse:
    """Download one checkpoint as an anchor file."""
    row = LogCheckpoint.objects.filter(number=min(number, _MAX_SEQUENCE)).first()
    if row is None:
        raise Http404(_("There is no such checkpoint."))
    return _checkpoint_file(f"{row.number}.txt", row.anchor.to_file(), "text/plain; charset=utf-8")


@require_GET
@right_required("log.read")
def download_time_stamp(_request: HttpRequest, number: int) -> HttpResponse:
    """Download the time stamp of one checkpoint as the authority sent it (RFC 3161, DER)."""
    row = CheckpointTimeStamp.objects.filter(number=min(number, _MAX_SEQUENCE)).first()
    if row is None:
        raise Http404(_("This checkpoint has no time stamp."))
    return _checkpoint_file(f"{row.number}.tsr", bytes(row.response), "application/timestamp-reply")


def _checkpoint_file(name: str, content: str | bytes, content_type: str) -> HttpResponse:
    headers = {
        "Content-Disposition": f'attachment; filename="kmes-log-checkpoint-{name}"',
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(content, content_type=content_type, headers=headers)
