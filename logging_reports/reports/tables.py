"""The rows of a report as a table of the console, as lines of a CSV file, and as texts for a PDF file."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import new_class
from typing import Any

import django_tables2 as tables
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from kmes.core import clock
from kmes.ui.tables import ConsoleTable
from kmes.ui.templatetags.kmes_ui import badge, cut_to_width, when
from logging_reports.reports.definitions import Answer, Column, Kind, Report, State
from logging_reports.safe_text import csv_cell, visible

EMPTY = "–"
_NOWRAP = {"td": {"class": "text-nowrap"}}
_NUMBER = {"td": {"class": "text-end"}, "th": {"class": "text-end"}}
_TEXT = {"td": {"class": "is-text"}}
_UNKNOWN = State("", "neutral")


class ReportColumn(tables.Column):  # type: ignore[misc]
    """Shows a column of a report. The database sorts it."""

    def __init__(self, column: Column) -> None:
        attrs = {Kind.TEXT: _TEXT, Kind.NUMBER: _NUMBER, Kind.MOMENT: _NOWRAP, Kind.DAY: _NOWRAP, Kind.STATE: _NOWRAP}
        super().__init__(
            verbose_name=column.label,
            empty_values=(),
            orderable=bool(column.order_by),
            order_by=column.order_by or None,
            attrs=attrs.get(column.kind, {}),
        )
        self.column = column

    def render(self, record: Any) -> str:
        """Show the value by its kind, linked if the column has a link."""
        value = self.column.read(record)
        if value is None or value == "":
            return EMPTY
        shown = self._show(value)
        address = self.column.link(record) if self.column.link else ""
        return format_html('<a href="{}">{}</a>', address, shown) if address else shown

    def _show(self, value: Any) -> str:
        match self.column.kind:
            case Kind.MOMENT:
                return when(value)
            case Kind.DAY:
                return format_html('<time datetime="{}">{}</time>', value.isoformat(), value.isoformat())
            case Kind.STATE:
                state = self.column.states.get(str(value), _UNKNOWN)
                return badge(state.label or value, state.tone)
            case Kind.CODE:
                return format_html('<span class="font-monospace">{}</span>', visible(str(value)))
        return cut_to_width(visible(str(value)))


class ReportTable(ConsoleTable):
    """Base class of the tables of reports. Each report has its own class, so users can arrange each."""

    # Wider screens, the CSV file and paper show what doesn't fit.
    drops_columns = True
    dropped_note = _("No room for:")

    class Meta(ConsoleTable.Meta):
        """The console's style."""


_tables: dict[str, type[ReportTable]] = {}


def make_table(report: Report) -> None:
    """Make the table class of a report and register it for arranging. The same name replaces it."""
    columns = {column.name: ReportColumn(column) for column in report.columns}
    first = next(iter(columns))
    settings = {
        "Meta": ReportTable.Meta,
        "caption": report.title,
        "saved_as": f"report-{report.name}",
        "essential": (first,),
    }
    # Set in the class body, because django-tables2 looks for columns there.
    _tables[report.name] = new_class(
        "ReportTable", (ReportTable,), exec_body=lambda body: body.update(settings | columns)
    )


def table_of(report: Report, answer: Answer) -> ReportTable:
    """Return the table of a registered report with the answer's rows."""
    return _tables[report.name](answer.rows)


def csv_header(report: Report) -> list[str]:
    """Return the header line. Programs of users rely on the names."""
    return [column.name for column in report.columns]


def csv_row(report: Report, row: Any) -> list[str]:
    """Return the cells of a row: times in UTC by ISO 8601, text guarded against formulas."""
    return [_cell(column.read(row)) for column in report.columns]


def labels(report: Report) -> list[str]:
    """Return the columns' names as pages show them."""
    return [str(column.label) for column in report.columns]


def words(report: Report, row: Any) -> list[str]:
    """Return the cells of a row as a page shows them, as plain text."""
    return [_words(column, column.read(row)) for column in report.columns]


def _words(column: Column, value: Any) -> str:
    if value is None or value == "":
        return EMPTY
    if isinstance(value, datetime):
        return clock.stamp(value)
    if column.kind == Kind.STATE:
        return str(column.states.get(str(value), _UNKNOWN).label or value)
    return value.isoformat() if isinstance(value, date) else str(value)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int):
        return str(value)
    return csv_cell(str(value))
