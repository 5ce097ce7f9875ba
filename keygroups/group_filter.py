"""A filter's field for a key group, which is searched on the server: a list of ten thousand would be half a megabyte.

It takes a name, as one types it, or an id, as links have it.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, JsonResponse
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from keygroups.fields import MAX_NAME
from keygroups.filters import read_uuid
from keygroups.models import KeyGroup
from keygroups.search import best_first
from kmes.accounts.rights import Right
from kmes.ui.access import right_required
from kmes.ui.widgets import SuggestInput

SUGGESTED = 12


class GroupField(forms.CharField):
    """A key group by name or id; its value is the group."""

    def __init__(self, *, label: Any) -> None:
        super().__init__(
            label=label,
            required=False,
            max_length=MAX_NAME,
            widget=GroupInput(reverse_lazy("keygroups:group_names")),
            help_text=gettext_lazy("The name, or a part that no other group has"),
        )

    def clean(self, value: Any) -> Any:
        """Return the group, None for an empty field. A part of a name will do where one group alone has it.

        Raises:
            ValidationError: there is none.

        """
        text = super().clean(value)
        if not text:
            return None
        if (found := find_named(text)) is not None:
            return found
        alike = list(KeyGroup.objects.only("pk", "name").filter(name__icontains=text)[:2])
        if len(alike) == 1:
            return alike[0]
        if alike:
            raise forms.ValidationError(
                _("Several key groups have this in their name: enter the whole name."), code="invalid_choice"
            )
        raise forms.ValidationError(_("There is no key group of this name."), code="invalid_choice")


class GroupInput(SuggestInput):
    """Shows the name of a group that an address names by its id."""

    def format_value(self, value: Any) -> str | None:
        """Return the text of the field."""
        text = super().format_value(value)
        group = find_named(text) if text and read_uuid(text) else None
        return group.name if group else text


def find_named(text: str) -> KeyGroup | None:
    """Return the group of this name, in any case, or of this id."""
    group_id = read_uuid(text)
    groups = KeyGroup.objects.only("pk", "name")
    return groups.filter(pk=group_id).first() if group_id else groups.filter(name__iexact=text).first()


@require_safe
@right_required(Right.CONSOLE_READ)
def suggest_groups(request: HttpRequest) -> JsonResponse:
    """Answer the names of some groups that hold a text, best first."""
    text = request.GET.get("q", "").strip()[:MAX_NAME]
    groups = KeyGroup.objects.filter(name__icontains=text) if text else KeyGroup.objects.none()
    return JsonResponse({"names": list(best_first(groups, text).values_list("name", flat=True)[:SUGGESTED])})
