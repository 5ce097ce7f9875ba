"""The form of a role: names, and its rights as a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from kmes.accounts.models import CustomRole
from kmes.accounts.rights import Right
from kmes.accounts.role_descriptions import AREAS
from kmes.accounts.roles.selectors import ShownRole
from kmes.accounts.roles.services import RoleValues
from kmes.core.columns import MAX_INTEGER, max_length
from kmes.core.errors import InputError, KmesError
from kmes.core.right_names import RIGHT_NAMES, name_right


@dataclass(frozen=True)
class RightLine:
    """One right of the grid. A fixed one can't be changed by the viewer; ``why`` says why."""

    right: Right
    name: str
    text: str | Promise
    is_set: bool
    is_fixed: bool
    why: str | Promise


class RoleForm(forms.Form):
    """Name, description and rights of a role. ``current`` is the role to edit, ``template`` one to copy."""

    name = forms.CharField(
        label=_("Name"), max_length=max_length(CustomRole, "name"), widget=forms.TextInput({"autocomplete": "off"})
    )
    description = forms.CharField(
        label=_("Description"),
        required=False,
        max_length=max_length(CustomRole, "description"),
        help_text=_("What its users do, in one sentence."),
    )
    rights = forms.MultipleChoiceField(label=_("Rights"), required=False, choices=list(RIGHT_NAMES.items()))
    needs_second_factor = forms.BooleanField(
        label=_("Second factor required"),
        required=False,
        initial=True,
        help_text=_("From the next sign-in on. Rights of roles that must have one need it in any case."),
    )
    lock_version = forms.IntegerField(required=False, min_value=0, max_value=MAX_INTEGER, widget=forms.HiddenInput)

    def __init__(
        self,
        *args: Any,
        viewer: Any,
        current: ShownRole | None = None,
        template: ShownRole | None = None,
        **kwargs: Any,
    ) -> None:
        self.held: frozenset[Right] = viewer.rights
        if current is not None and current.row is not None:
            kwargs["initial"] = {
                "name": current.name,
                "description": current.description,
                "rights": sorted(current.rights),
                "needs_second_factor": current.needs_second_factor,
                "lock_version": current.row.lock_version,
            }
        elif template is not None:
            kwargs["initial"] = {"description": template.description, "rights": sorted(template.rights & self.held)}
        super().__init__(*args, **kwargs)

    def areas(self) -> list[tuple[str | Promise, list[RightLine]]]:
        """Return the grid: the rights by area, with what is ticked."""
        ticked = set(self["rights"].value() or ())
        return [(area, [self._line(right, text, ticked) for right, text in texts.items()]) for area, texts in AREAS]

    def _line(self, right: Right, text: str | Promise, ticked: set[str]) -> RightLine:
        name = name_right(right)
        if right == Right.CONSOLE_READ:
            return RightLine(right, name, text, is_set=True, is_fixed=True, why=_("Every role has it."))
        if right not in self.held:
            return RightLine(right, name, text, is_set=False, is_fixed=True, why=_("Your own role lacks it."))
        return RightLine(right, name, text, is_set=right in ticked, is_fixed=False, why="")

    def values(self) -> RoleValues:
        """Return the entered values for the services. Call after ``is_valid()``."""
        data = self.cleaned_data
        rights = frozenset(Right(right) for right in data["rights"])
        return RoleValues(data["name"], data["description"], rights, data["needs_second_factor"])

    def refuse(self, error: KmesError) -> None:
        """Show a service's refusal at the field it belongs to, else above the form."""
        field = error.field if isinstance(error, InputError) else ""
        self.add_error(field if field in self.fields else None, str(error))
