"""The form of the options: one number each, with its limits."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _

from kmes.core.options import OPTIONS, value


class OptionsForm(forms.Form):
    """Shows the present values; options set by the environment can't be edited."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in OPTIONS.values():
            text = str(option.text)
            if option.is_locked:
                text = _("%(text)s Set by the environment (%(setting)s).") % {"text": text, "setting": option.setting}
            else:
                text = _("%(text)s Default: %(default)d.") % {"text": text, "default": option.default}
            self.fields[option.name] = forms.IntegerField(
                label=f"{option.label} ({option.unit})",
                min_value=option.lowest,
                max_value=option.highest,
                initial=value(option.name),
                disabled=option.is_locked,
                help_text=text,
            )

    def values(self) -> dict[str, int]:
        """Return the entered values of the options that the environment does not set."""
        return {name: chosen for name, chosen in self.cleaned_data.items() if not OPTIONS[name].is_locked}
