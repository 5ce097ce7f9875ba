"""The filters of a report: a form that reads the query string and lists the active filters."""

from __future__ import annotations

from urllib.parse import urlencode

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from logging_reports.filters import Chip


def search_field(help_text: object) -> forms.CharField:
    """Return a search field. ``help_text`` says what it searches."""
    return forms.CharField(
        label=_("Text"),
        required=False,
        max_length=160,
        widget=forms.TextInput(attrs={"type": "search"}),
        help_text=help_text,  # type: ignore[arg-type]
    )


class ReportForm(forms.Form):
    """Base class of the filters of reports, and the form of a report without filters."""

    is_filter = True

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, auto_id="filter-%s")

    def in_use(self) -> dict[str, str]:
        """Return the names and values of the fields in use."""
        used = {name: self.data.get(name, "").strip() for name in self.fields}
        return {name: value for name, value in used.items() if value}

    def query(self, **changes: str) -> str:
        """Return the query string of this filter with changes. An empty value removes a filter."""
        values = {**self.in_use(), **changes}
        return urlencode({name: value for name, value in values.items() if value})

    def chips(self) -> list[Chip]:
        """Return the active filters, with the labels of choices."""
        found = []
        for name, value in self.in_use().items():
            choices = {str(code): str(label) for code, label in getattr(self.fields[name], "choices", [])}
            label = str(self.fields[name].label)
            found.append(Chip(name, label, choices.get(value, value), self.query(**{name: ""})))
        return found
