"""The data types that define a report: its columns, filters and answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db.models import QuerySet
from django.utils.functional import Promise

from kmes.ui.pictures import Bar
from logging_reports.reports.forms import ReportForm

Text = str | Promise
Row = Mapping[str, Any]


class Kind(StrEnum):
    """How the page shows a column's values. A CSV file has them unformatted."""

    TEXT = "text"
    CODE = "code"
    NUMBER = "number"
    MOMENT = "moment"
    DAY = "day"
    STATE = "state"


@dataclass(frozen=True)
class State:
    """A badge: its label, and a tone of good, info, warning, bad, neutral."""

    label: Text
    tone: str


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: the value of a row that it shows, and how.

    ``value`` computes it from the row; the default is the row's value of the same name. ``order_by`` names
    the database columns to sort by; empty means not sortable.
    """

    name: str
    label: Text
    kind: Kind = Kind.TEXT
    value: Callable[[Row], Any] | None = None
    order_by: tuple[str, ...] = ()
    link: Callable[[Row], str] | None = None
    states: Mapping[str, State] = field(default_factory=dict)

    def read(self, row: Row) -> Any:
        """Return the row's value for this column."""
        return self.value(row) if self.value else row[self.name]


@dataclass(frozen=True)
class Answer:
    """The result of a report: one sentence, the bars of its chart, and its rows (ordered dictionaries)."""

    sentence: str
    bars: Sequence[Bar]
    rows: QuerySet[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Report:
    """One report: its texts, its filters and the function that answers it.

    ``answer`` gets the cleaned filters. It must cost a fixed number of queries: counts by aggregates, rows
    as a queryset of ``values()`` of which one page is fetched.
    """

    name: str
    title: Text
    description: Text
    chart_title: Text
    columns: Sequence[Column]
    answer: Callable[[dict[str, Any]], Answer]
    form: type[ReportForm] = ReportForm
    right: str = "console.read"
    order: int = 100
    nothing: Text
