"""The base class of filter forms: the fields in use, links that change them, and their chips."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django import forms


@dataclass(frozen=True)
class Chip:
    """One active filter, with the query string that removes it."""

    name: str
    label: str
    value: str
    without: str


class FilterForm(forms.Form):
    """A form that reads the query string of a list. Field names are those of the query string."""

    # Fields that select something else than rows of the list.
    without_chip: frozenset[str] = frozenset()

    def in_use(self) -> dict[str, str]:
        """Return the names and values of the fields in use."""
        values = {name: self.data.get(name, "").strip() for name in self.fields}
        return {name: value for name, value in values.items() if value}

    def query(self, **changes: str | int) -> str:
        """Return the query string of this filter with changes. An empty value removes a filter."""
        values = {**self.in_use(), **changes}
        return urlencode({name: value for name, value in values.items() if value != ""})

    def chips(self) -> list[Chip]:
        """Return the active filters, with the labels of choices."""
        found = []
        for name, value in self.in_use().items():
            if name not in self.without_chip:
                field = self.fields[name]
                labels = {str(code): str(label) for code, label in getattr(field, "choices", [])}
                found.append(Chip(name, str(field.label), labels.get(value, value), self.query(**{name: ""})))
        return found
