"""The filters of a report: a form that reads the query string and names what is in use."""

from __future__ import annotations

from urllib.parse import urlencode

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from logging_reports.filters import Chip


def search_field(help_text: object) -> forms.CharField:
    """Return a search field; ``help_text`` says what it looks into."""
    return forms.CharField(
        label=_("Text"),
        required=False,
        max_length=160,
        widget=forms.TextInput(attrs={"type": "search"}),
        help_text=help_text,  # type: ignore[arg-type]
    )


class ReportForm(forms.Form):
    """Base of all reports' filters; a report without filters uses it as it is."""

    is_filter = True

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, auto_id="filter-%s")

    def in_use(self) -> dict[str, str]:
        """Return the filters that hold a value, as they would be sent again."""
        used = {name: self.data.get(name, "").strip() for name in self.fields}
        return {name: value for name, value in used.items() if value}

    def query(self, **changes: str) -> str:
        """Return the query string of this filter with changes; an empty value takes one away."""
        values = {**self.in_use(), **changes}
        return urlencode({name: value for name, value in values.items() if value})

    def chips(self) -> list[Chip]:
        """Return the active filters; a choice shows its label, anything else its value."""
        found = []
        for name, value in self.in_use().items():
            choices = {str(code): str(label) for code, label in getattr(self.fields[name], "choices", [])}
            label = str(self.fields[name].label)
            found.append(Chip(name, label, choices.get(value, value), self.query(**{name: ""})))
        return found
