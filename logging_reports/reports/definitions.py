"""What a report is made of: its columns, its filters and the answer it gives. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db.models import QuerySet
from django.utils.functional import Promise

from logging_reports.reports.charts import Bar
from logging_reports.reports.forms import ReportForm

Text = str | Promise
Row = Mapping[str, Any]


class Kind(StrEnum):
    """How a column shows its values in the page; a CSV file gets them plain."""

    TEXT = "text"
    CODE = "code"
    NUMBER = "number"
    MOMENT = "moment"
    DAY = "day"
    STATE = "state"


@dataclass(frozen=True)
class State:
    """A choice as a badge: its word, and one of good, info, warning, bad, neutral."""

    label: Text
    tone: str


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: which value of a row it shows and how.

    ``value`` computes it from the row; without it the row's value of the same name stands. ``order_by``
    names what the database sorts by; empty means that the column can't be sorted.
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
    """What a report found: one sentence, the bars of its chart, and its rows (dictionaries, in order)."""

    sentence: str
    bars: Sequence[Bar]
    rows: QuerySet[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Report:
    """One report: what it is called, what it asks, and how it answers.

    ``answer`` gets the cleaned filters. It must cost a few queries however many keys there are: counts by
    aggregates, rows as a queryset of ``values()``, of which one page is fetched.
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
