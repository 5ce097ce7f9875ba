"""The calls of a job as a sequence: an arrow for each from the console to the HSM or to Azure. Read from the log's rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.models import Job
from kmes.ui.pictures import Cell, Picture, arrow, box, cut_label, label, line, link
from logging_reports.choices import Service, Severity
from logging_reports.events import EVENTS
from logging_reports.models import LogEntry

MOST_ROWS = 60
_WIDTH, _ROW, _TOP = 980, 30, 44
_HSM, _CONSOLE, _CLOUD, _FACTS = 150, 430, 720, 740
# Work of the device that the log of calls tells.
_DEVICE_EVENTS = frozenset({"azure.key_wrapped"})
_REQUEST_ID_SHOWN = 8


def read_rows(job: Job) -> list[LogEntry]:
    """Return the job's rows of the logs of calls and of the device, as they were written; one more than are drawn."""
    rows = LogEntry.objects.filter(service__in=[Service.AZURE, Service.DEVICE], job_id=job.pk)
    return list(rows.order_by("at", "service", "sequence")[: MOST_ROWS + 1])


def draw_sequence(job: Job, rows: Sequence[LogEntry]) -> Picture | None:
    """Draw the rows that are calls, in their order; None while there is none."""
    calls = [row for row in rows[:MOST_ROWS] if _lane_of(row)]
    if not calls:
        return None
    height = _TOP + _ROW * len(calls) + 10
    shapes = _lanes(job, height)
    for place, row in enumerate(calls):
        shapes.append(_draw_call(row, _TOP + place * _ROW + 22, place + 1))
    return Picture(
        "sequence",
        _("Calls of %(job)s") % {"job": job},
        _tell(calls),
        _WIDTH,
        height,
        shapes,
        (_("Logged (UTC)"), _("To"), _("Call"), _("HTTP status"), _("Milliseconds"), _("Request ID")),
        [_cells(row) for row in calls],
        (("fill-info", _("Answered")), ("fill-bad", _("✕ Failed"))),
        acts=True,
    )


def _lane_of(row: LogEntry) -> str:
    """Return whom a row's call reached: "hsm", "cloud", or "" for a row that is no call."""
    if row.service == Service.DEVICE or row.event in _DEVICE_EVENTS:
        return "hsm"
    return "cloud" if row.http_status is not None or row.duration_ms is not None else ""


def _has_failed(row: LogEntry) -> bool:
    """Return whether a call did not do what it was for. A 404 that says a key is not there is an answer."""
    return row.severity in {Severity.WARNING, Severity.ERROR}


def _name_of(row: LogEntry) -> str:
    event = EVENTS.get(row.event)
    name = str(event.label) if event else row.event
    return f"{name}: {row.key}" if row.key else name


def _log_url(row: LogEntry) -> str:
    return reverse("logs:detail", args=[row.service, row.sequence])


# --- Drawing ---------------------------------------------------------------------------------
def _lanes(job: Job, height: float) -> list[SafeString]:
    vault = job.vault.name if job.vault else ""
    names = (
        (_HSM, _("HSM"), job.device_serial),
        (_CONSOLE, _("Console"), str(job)),
        (_CLOUD, _("Azure"), vault),
    )
    shapes = []
    for x, name, detail in names:
        shapes += [
            line(x, _TOP - 4, x, height - 4, look="axis"),
            label(x, 14, name, look="strong", anchor="middle"),
            cut_label(x, 30, detail, 200, look="quiet small", anchor="middle"),
        ]
    return shapes


def _draw_call(row: LogEntry, y: float, place: int) -> SafeString:
    to = _HSM if _lane_of(row) == "hsm" else _CLOUD
    failed = _has_failed(row)
    name, facts = _name_of(row), _facts(row)
    left = min(_CONSOLE, to)
    width = abs(_CONSOLE - to)
    shapes = [
        box(0, y - 20, _WIDTH, _ROW - 2, look="row-ground", tip=f"{name} {facts}".strip()),
        label(4, y, str(place), look="quiet small"),
        cut_label(left + width / 2, y - 6, name, width - 20, anchor="middle"),
        arrow(_CONSOLE, to, y, look="line-bad" if failed else "line-info"),
        cut_label(
            _FACTS, y + 3, f"✕ {facts}" if failed else facts, _WIDTH - _FACTS, look="strong-bad" if failed else "quiet"
        ),
    ]
    return link(_log_url(row), f"{name}. {facts}", shapes)


def _facts(row: LogEntry) -> str:
    """Return status, duration and the start of the request id, as far as they are known."""
    parts = [str(row.http_status)] if row.http_status is not None else []
    if row.duration_ms is not None:
        parts.append(_("%(count)d ms") % {"count": row.duration_ms})
    if row.provider_request_id:
        parts.append(f"{row.provider_request_id[:_REQUEST_ID_SHOWN]}…")
    return " · ".join(parts)


def _cells(row: LogEntry) -> tuple[Cell, ...]:
    at = row.at.astimezone(UTC)
    return (
        Cell(f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"),
        Cell(_("HSM") if _lane_of(row) == "hsm" else _("Azure")),
        Cell(_name_of(row), _log_url(row)),
        Cell(_or_dash(row.http_status)),
        Cell(_or_dash(row.duration_ms)),
        Cell(row.provider_request_id or "–"),
    )


def _or_dash(value: int | None) -> str:
    return "–" if value is None else str(value)


def _tell(calls: Sequence[LogEntry]) -> str:
    cloud = [row for row in calls if _lane_of(row) == "cloud"]
    spent = sum(row.duration_ms or 0 for row in cloud)
    text = ngettext("%(count)d call to Azure in %(ms)d ms", "%(count)d calls to Azure in %(ms)d ms", len(cloud))
    parts = [text % {"count": len(cloud), "ms": spent}]
    if device := len(calls) - len(cloud):
        parts.append(ngettext("%(count)d step in the HSM", "%(count)d steps in the HSM", device) % {"count": device})
    failed = sum(_has_failed(row) for row in calls)
    parts.append(ngettext("%(count)d failed", "%(count)d failed", failed) % {"count": failed})
    return "; ".join(parts) + "."


def context_of(job: Job) -> dict[str, Any]:
    """Return what the page shows, and how many rows it has seen. One query."""
    rows = read_rows(job)
    return {"picture": draw_sequence(job, rows), "seen": len(rows), "has_more": len(rows) > MOST_ROWS}
