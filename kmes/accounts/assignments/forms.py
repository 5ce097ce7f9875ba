"""The form that gives a user a role for a scope."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kmes.accounts.delegation import lacked
from kmes.accounts.models import RoleAssignment
from kmes.accounts.rights import SCOPED_RIGHTS, Right
from kmes.accounts.roles.selectors import ShownRole, list_roles
from kmes.accounts.scopes import ScopeKind
from kmes.core.columns import max_length
from kmes.core.errors import InputError, KmesError
from kmes.core.right_names import name_rights
from kmes.ui.widgets import SuggestInput

# Every role has these rights, or they only read: they count everywhere and are given by the role there.
_READING = frozenset({Right.CONSOLE_READ, Right.LOG_READ, Right.LOG_EXPORT})


class ScopeField(forms.CharField):
    """One of many vaults, key groups or tags, by name."""

    def __init__(self, kind: str, **more: Any) -> None:
        super().__init__(
            required=False,
            max_length=max_length(RoleAssignment, "scope_value"),
            widget=SuggestInput(reverse_lazy("accounts:scope_names", args=[kind])),
            **more,
        )
        # One of the three is required, so that none is called optional.
        self.widget.attrs["required"] = False


class ScopeForm(forms.Form):
    """Asks for one scope: a vault, a key group or a tag."""

    vault = ScopeField(
        ScopeKind.VAULT,
        label=gettext_lazy("Key Vault"),
        help_text=gettext_lazy("All key groups in it, also those added later."),
    )
    group = ScopeField(
        ScopeKind.GROUP, label=gettext_lazy("Or key group"), help_text=gettext_lazy("This one, in whichever vault.")
    )
    tag = ScopeField(
        ScopeKind.TAG,
        label=gettext_lazy("Or tag"),
        help_text=gettext_lazy("All key groups with the tag, as name=value."),
    )

    def clean(self) -> dict[str, Any]:
        """Ask for exactly one scope."""
        data: dict[str, Any] = super().clean() or {}
        chosen = [kind for kind in ScopeKind.values if data.get(kind)]
        if len(chosen) != 1 and not self.errors:
            raise ValidationError(_("Choose one scope: a key vault, a key group or a tag."), code="scope")
        return data

    def scope(self) -> tuple[str, str]:
        """Return kind and name of the scope. Call after ``is_valid()``."""
        return next((kind, self.cleaned_data[kind]) for kind in ScopeKind.values if self.cleaned_data[kind])

    def refuse(self, error: KmesError) -> None:
        """Show a service's refusal at the field it belongs to, else above the form."""
        field = error.field if isinstance(error, InputError) else ""
        if field == "scope":
            field = self.scope()[0]
        self.add_error(field if field in self.fields else None, str(error))


class RoleForScopeForm(ScopeForm):
    """Asks for a role and for one scope."""

    field_order = ("role",)
    role = forms.ChoiceField(label=gettext_lazy("Role"), widget=forms.RadioSelect)

    def __init__(self, *args: Any, viewer: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whoever lacks a right everywhere may have it in the scope; the service looks at that.
        roles = [role for role in list_roles(viewer) if not lacked(viewer.widest_rights, role.rights)]
        field: Any = self.fields["role"]
        field.choices = [(role.code, f"{role.name}: {describe_effect(role)}") for role in roles]


def describe_effect(role: ShownRole) -> str:
    """Say which rights a role gives for a scope, and which of its rights have no effect there."""
    given = role.rights & SCOPED_RIGHTS
    text = name_rights(given) if given else _("gives no right for a scope, and counts for approvals there")
    if without := role.rights - SCOPED_RIGHTS - _READING:
        text = _("%(rights)s. Without effect for a scope: %(without)s") % {
            "rights": text,
            "without": name_rights(without),
        }
    return text
