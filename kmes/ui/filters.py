"""Filter forms of lists: they read the query string, name the active filters and build links.

Knows no list: each app adds its own fields.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

PRESETS: dict[str, timedelta] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
PRESET_CHOICES: list[tuple[str, str | Promise]] = [
    ("", _("Any time")),
    ("1h", _("Last hour")),
    ("24h", _("Last 24 hours")),
    ("7d", _("Last 7 days")),
    ("30d", _("Last 30 days")),
]
TIME_ERROR = _("Use a UTC date and time such as 2026-11-23 14:05, or a date alone.")
# A longer value is invalid in every filter, and would stand in each link of the page.
MAX_KEPT = 300
FIRST_YEAR, LAST_YEAR = 1970, 9000
# Half a date or half a name finds nothing, so these fields apply when they lose focus.
WHEN_LEFT = {"data-when-left": True}


@dataclass(frozen=True)
class Chip:
    """One active filter, with the query string that removes it."""

    name: str
    label: str
    value: str
    without: str


class MomentField(forms.DateTimeField):
    """A UTC date and time. A date alone means that whole day."""

    def __init__(self, *, label: Any, is_end: bool = False) -> None:
        self.is_end = is_end
        super().__init__(
            label=label,
            required=False,
            widget=forms.TextInput(
                attrs={"placeholder": "YYYY-MM-DD HH:MM", "inputmode": "numeric", "size": 16, **WHEN_LEFT}
            ),
            error_messages={"invalid": TIME_ERROR},
        )

    def to_python(self, value: Any) -> datetime | None:
        """Return the moment. A date as the end of a range includes that day."""
        text = str(value or "").strip()
        try:
            moment = super().to_python(text)
            is_date = len(text) <= len("YYYY-MM-DD")
            if moment is None:
                return None
            # PostgreSQL takes no offset of 16 hours and more, which ISO 8601 allows.
            moment = moment.astimezone(UTC)
            return moment + timedelta(days=1) if is_date and self.is_end else moment
        except (OverflowError, ValueError) as error:
            raise forms.ValidationError(TIME_ERROR, code="invalid") from error

    def validate(self, value: datetime | None) -> None:
        """Refuse a moment near the ends of the calendar: queries count some time back or on from it."""
        super().validate(value)
        if value is not None and not FIRST_YEAR <= value.year < LAST_YEAR:
            raise forms.ValidationError(TIME_ERROR, code="invalid")


class FilterForm(forms.Form):
    """Base of filter forms. Field names are those of the query string, so links stay readable."""

    is_filter = True
    # Fields that have a control of their own, and therefore no chip.
    without_chip: ClassVar[AbstractSet[str]] = frozenset()

    def in_use(self) -> dict[str, str]:
        """Return the names and values of the fields in use."""
        used = {name: self.data.get(name, "").strip()[:MAX_KEPT] for name in self.fields}
        return {name: value for name, value in used.items() if value}

    def query(self, **changes: str | int) -> str:
        """Return the query string of this filter with changes. An empty value removes a filter."""
        values: dict[str, str | int] = {**self.in_use(), **changes}
        return urlencode({name: value for name, value in values.items() if value != ""})

    def chips(self) -> list[Chip]:
        """Return the active filters."""
        return [
            Chip(name, self.chip_label(name), self.chip_value(name, value), self.query(**{name: ""}))
            for name, value in self.in_use().items()
            if name not in self.without_chip
        ]

    def chip_label(self, name: str) -> str:
        """Return what the chip of a field is called."""
        return str(self.fields[name].label)

    def chip_value(self, name: str, value: str) -> str:
        """Return a value as its chip shows it: the label of a choice, else the value."""
        choices = {str(code): str(label) for code, label in getattr(self.fields[name], "choices", [])}
        return choices.get(value, value)
