"""The form that takes a matter off the list."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from kmes.core.columns import max_length
from kmes.dashboard.models import Acknowledgement


class AcknowledgeForm(forms.Form):
    """The reason, and a digest of what the user saw."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=max_length(Acknowledgement, "reason"),
        help_text=_("Shown to all users and written to the Audit log."),
    )
    seen = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)
