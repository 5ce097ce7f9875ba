"""The filter form of System Logs: reads the query string, lists the active filters, builds links."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from kmes.core import clock
from kmes.ui.filters import PRESET_CHOICES, PRESETS, WHEN_LEFT, FilterForm, MomentField
from logging_reports.choices import Category, Service, Severity
from logging_reports.events import CATEGORIES
from logging_reports.selectors import LogFilter, find_label

if TYPE_CHECKING:
    from django.http import QueryDict

MAIN_FIELDS = ("q", "severity", "category", "range")


class LogFilterForm(FilterForm):
    """All filters of the page."""

    without_chip = frozenset({"service"})

    service = forms.ChoiceField(label=_("Log"), choices=Service.choices, required=False)
    q = forms.CharField(
        label=_("Text"), required=False, max_length=200, widget=forms.TextInput(attrs={"type": "search"})
    )
    category = forms.ChoiceField(label=_("Category"), required=False)
    severity = forms.ChoiceField(label=_("Severity"), choices=[("", _("Any")), *Severity.choices], required=False)
    range = forms.ChoiceField(label=_("Time"), choices=PRESET_CHOICES, required=False)
    since = MomentField(label=_("From (UTC)"))
    until = MomentField(label=_("To (UTC)"), is_end=True)
    group = forms.CharField(
        label=_("Key group"), required=False, max_length=255, widget=forms.TextInput(attrs=WHEN_LEFT)
    )
    key = forms.CharField(label=_("Key"), required=False, max_length=255, widget=forms.TextInput(attrs=WHEN_LEFT))
    job = forms.CharField(label=_("Job"), required=False, max_length=36, widget=forms.TextInput(attrs=WHEN_LEFT))
    actor = forms.CharField(label=_("Actor"), required=False, max_length=255, widget=forms.TextInput(attrs=WHEN_LEFT))

    def __init__(self, data: QueryDict, *, service: str = "") -> None:
        values = data.copy()
        asked = service or values.get("service", "")
        self.log = Service(asked) if asked in Service.values else Service.AZURE
        values["service"] = self.log.value
        # After a change of the log, the category of the former log may remain. It means "any".
        if values.get("category") in set(Category.values) - set(CATEGORIES[self.log]):
            values["category"] = ""
        super().__init__(values, auto_id="filter-%s")
        categories = [(category.value, category.label) for category in CATEGORIES[self.log]]
        self.fields["category"].choices = [("", _("Any")), *categories]  # type: ignore[attr-defined]
        for name, field in self.fields.items():
            is_select = isinstance(field.widget, forms.Select)
            field.widget.attrs["class"] = "form-select form-select-sm" if is_select else "form-control form-control-sm"
            field.widget.attrs["aria-describedby"] = f"filter-{name}-error"
            if self.errors.get(name):
                field.widget.attrs["class"] += " is-invalid"
                field.widget.attrs["aria-invalid"] = "true"

    def clean(self) -> dict[str, Any]:
        """Refuse a range that ends before it begins."""
        cleaned: dict[str, Any] = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until <= since:
            self.add_error("until", _("The end lies before the beginning."))
        return cleaned

    def to_filter(self) -> LogFilter:
        """Return the filter of the valid form."""
        chosen = self.cleaned_data
        starts = [chosen["since"]] if chosen["since"] else []
        if chosen["range"]:
            starts.append(clock.now() - PRESETS[chosen["range"]])
        return LogFilter(
            service=self.log.value,
            category=chosen["category"],
            severity=chosen["severity"],
            since=max(starts, default=None),
            until=chosen["until"],
            text=chosen["q"],
            group=chosen["group"],
            job=chosen["job"],
            key=chosen["key"],
            actor=chosen["actor"],
        )

    def main_fields(self) -> list[forms.BoundField]:
        """Return the fields that are always shown."""
        return [self[name] for name in MAIN_FIELDS]

    def more_fields(self) -> list[forms.BoundField]:
        """Return the fields behind "More filters"."""
        return [self[name] for name in self.fields if name not in {"service", *MAIN_FIELDS}]

    def more_has_errors(self) -> bool:
        """Return whether one of ``more_fields`` has an error; their values are shown by chips."""
        return any(field.errors for field in self.more_fields())

    def chip_value(self, name: str, value: str) -> str:
        """Return a value as its chip shows it: a key, a group or a job by its name."""
        return find_label(name, value, service=self.log.value) or super().chip_value(name, value)

    @property
    def service_code(self) -> str:
        """The chosen log, also when other fields are invalid."""
        return self.log.value

    def kept_across_logs(self) -> list[tuple[str, str]]:
        """Return the filters that stay when the log changes. Categories don't: each log has its own."""
        return [(name, value) for name, value in self.in_use().items() if name not in {"service", "category"}]


class JumpForm(forms.Form):
    """A moment to jump to in the log. It selects a page and filters nothing."""

    jump = MomentField(label=_("Go to (UTC)"), is_end=True)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, auto_id="log-%s")
        self.fields["jump"].widget.attrs["class"] = "form-control form-control-sm w-auto"

    @property
    def moment(self) -> datetime | None:
        """The moment that was entered. None for an empty or invalid field."""
        return self.cleaned_data.get("jump") if self.is_valid() else None


class SaveFilterForm(forms.Form):
    """The name of a saved filter, and who may use it."""

    name = forms.CharField(label=_("Name"), max_length=80)
    is_shared = forms.BooleanField(
        label=_("Share with everybody who may read the log"),
        required=False,
        help_text=_("Others can use it; only you or an administrator can delete it."),
    )
