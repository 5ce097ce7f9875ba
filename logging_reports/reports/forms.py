"""The filters of a report: a form that reads the query string and lists the active filters."""

from __future__ import annotations

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from kmes.ui.filters import FilterForm


def search_field(help_text: object) -> forms.CharField:
    """Return a search field. ``help_text`` says what it searches."""
    return forms.CharField(
        label=_("Text"),
        required=False,
        max_length=160,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": help_text, "size": 26}),
        help_text=help_text,  # type: ignore[arg-type]
    )


class ReportForm(FilterForm):
    """Base class of the filters of reports, and the form of a report without filters."""

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, auto_id="filter-%s")
