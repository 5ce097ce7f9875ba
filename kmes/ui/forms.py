"""Forms of users' choices for their own pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from kmes.ui.preferences import COLOURS, DENSITIES, Display, known_zones


def _zones() -> list[tuple[str, str]]:
    names = sorted(name for name in known_zones() if "/" in name and not name.startswith("Etc/"))
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in names)]


class SavedViewForm(forms.Form):
    """The name of a saved view, and whether it is shared."""

    name = forms.CharField(label=_("Name"), max_length=64, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    is_shared = forms.BooleanField(
        label=_("Everybody can use it"),
        required=False,
        help_text=_("Others see its name, filter and columns, never more rows than their role allows."),
    )


class PreferencesForm(forms.Form):
    """The appearance of pages for the user."""

    colours = forms.ChoiceField(label=_("Colors"), choices=[*COLOURS.items()])
    density = forms.ChoiceField(
        label=_("Row density"),
        choices=[*DENSITIES.items()],
        help_text=_("Touch screens always use tall rows."),
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=_zones,
        help_text=_("For the exact time behind “2 hours ago”. Logs and jobs show UTC to everybody."),
    )
    shortcuts = forms.BooleanField(
        label=_("Single-letter shortcuts"),
        required=False,
        help_text=_("Switch them off if you speak to your computer or keys are pressed by accident. Ctrl+K stays."),
    )

    @classmethod
    def of(cls, display: Display) -> PreferencesForm:
        """Return the form with the present choices."""
        return cls(initial=display.to_value())

    def to_display(self) -> Display:
        """Return the choices of the valid form."""
        values: dict[str, Any] = self.cleaned_data
        return Display.read(values)
