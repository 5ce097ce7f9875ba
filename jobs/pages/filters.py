"""The filter form of the jobs list: reads the query string, names the active filters, builds links."""

from __future__ import annotations

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from cloudcreds.models import KeyVault
from jobs.choices import JobState
from jobs.pages.selectors import JobFilter
from jobs.spec import Text, registry
from keygroups.group_filter import GroupField
from keygroups.models import Key
from kmes.core import clock
from kmes.ui.filters import PRESET_CHOICES, PRESETS, FilterForm, MomentField
from kmes.ui.widgets import LongSelect

TABS = {
    "running": _("Running"),
    "failed": _("Failed"),
    "mine": _("Mine"),
    "all": _("All"),
}
MAIN_FIELDS = ("q", "kind", "state", "range")


def _kinds() -> list[tuple[str, Text]]:
    return [("", _("Any")), *registry.choices()]


class JobFilterForm(FilterForm):
    """All filters of the list."""

    without_chip = frozenset({"show"})
    show = forms.ChoiceField(choices=[(tab, tab) for tab in TABS], required=False, widget=forms.HiddenInput)
    q = forms.CharField(
        label=_("Text"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search"}),
        help_text=_("ID, subject, who started it, or error"),
    )
    kind = forms.ChoiceField(label=_("Type"), choices=_kinds, required=False)
    state = forms.ChoiceField(label=_("Status"), choices=[("", _("Any")), *JobState.choices], required=False)
    group = GroupField(label=_("Key group"))
    vault = forms.ModelChoiceField(
        KeyVault.objects.none(), label=_("Key Vault"), required=False, empty_label=_("Any"), widget=LongSelect
    )
    key = forms.UUIDField(required=False, widget=forms.HiddenInput)
    part_of = forms.UUIDField(label=_("Part of"), required=False, widget=forms.HiddenInput)
    range = forms.ChoiceField(label=_("Time"), choices=PRESET_CHOICES, required=False)
    since = MomentField(label=_("From (UTC)"))
    until = MomentField(label=_("To (UTC)"), is_end=True)

    def __init__(self, data: QueryDict) -> None:
        values = data.copy()
        if values.get("show", "") not in TABS:
            values["show"] = "all"
        super().__init__(values, auto_id="filter-%s")
        self.fields["vault"].queryset = KeyVault.objects.order_by("name")  # type: ignore[attr-defined]

    @property
    def tab(self) -> str:
        """The chosen tab, also when the rest of the form can't be used."""
        return str(self.data["show"])

    def to_filter(self, *, user_id: int | None) -> JobFilter:
        """Return what the valid form asks for."""
        chosen = self.cleaned_data
        starts = [moment for moment in (chosen["since"],) if moment]
        if chosen["range"]:
            starts.append(clock.now() - PRESETS[chosen["range"]])
        return JobFilter(
            tab=self.tab,
            user_id=user_id,
            kind=chosen["kind"],
            state=chosen["state"],
            group=chosen["group"].pk if chosen["group"] else None,
            key=chosen["key"],
            part_of=chosen["part_of"],
            vault=chosen["vault"].pk if chosen["vault"] else None,
            text=chosen["q"].strip(),
            since=max(starts, default=None),
            until=chosen["until"],
        )

    def main_fields(self) -> list[forms.BoundField]:
        """Return the fields of the bar."""
        return [self[name] for name in MAIN_FIELDS]

    def more_fields(self) -> list[forms.BoundField]:
        """Return the fields behind "More filters"."""
        return [field for field in self.visible_fields() if field.name not in MAIN_FIELDS]

    def more_has_errors(self) -> bool:
        """Return whether one of ``more_fields`` has an error; their values are shown by chips."""
        return any(field.errors for field in self.more_fields())

    def in_use(self) -> dict[str, str]:
        """Return the names and values of the fields in use; the tab "all" is no filter."""
        return {name: value for name, value in super().in_use().items() if (name, value) != ("show", "all")}

    def tabs(self) -> list[tuple[str, str, str]]:
        """Return the tabs: name, label, and the query string that keeps the other filters."""
        return [(tab, str(label), self.query(show=tab)) for tab, label in TABS.items()]

    def chip_label(self, name: str) -> str:
        """Return what the chip is called; the key's field is hidden and has no label."""
        return str(_("Key")) if name == "key" else super().chip_label(name)

    def chip_value(self, name: str, value: str) -> str:
        """Return a group, vault or key by its name, anything else as usual."""
        cleaned = getattr(self, "cleaned_data", {}).get(name)
        if name in {"group", "vault"} and cleaned:
            return str(cleaned)
        if name == "key" and cleaned:
            return Key.objects.filter(pk=cleaned).values_list("name", flat=True).first() or value
        return super().chip_value(name, value)
