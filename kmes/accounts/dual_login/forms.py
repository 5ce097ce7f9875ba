"""Forms of dual login: the policy, and the first step of a second administrator."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from kmes.accounts import acting_views
from kmes.accounts.dual_login.policy import LEAST_MINUTES, MOST_MINUTES, Policy
from kmes.accounts.forms import limit_passwords
from kmes.accounts.models import User
from kmes.accounts.roles.selectors import role_names
from kmes.core.columns import MAX_INTEGER, max_length
from kmes.core.errors import InputError, KmesError

_NAME_FIELD = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off", "autofocus": True}


class RefusableForm(forms.Form):
    """Shows what a service refuses."""

    def refuse(self, error: KmesError) -> None:
        """Show a service's refusal at the field it belongs to, else above the form."""
        field = error.field if isinstance(error, InputError) else ""
        self.add_error(field if field in self.fields else None, str(error))


class SecondForm(RefusableForm):
    """Name and password of the second administrator. The password is not shown again."""

    username = forms.CharField(
        label=_("User name of the second administrator"),
        max_length=max_length(User, "username"),
        widget=forms.TextInput(_NAME_FIELD),
    )
    # Nobody's browser keeps the password of somebody else.
    password = forms.CharField(
        label=_("Password"), strip=False, widget=forms.PasswordInput({"autocomplete": "new-password"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit_passwords(self)


def _several(label: Any, help_text: Any, **options: Any) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=label, help_text=help_text, widget=forms.CheckboxSelectMultiple, choices=[], **options
    )


class PolicyForm(RefusableForm):
    """What demands a second administrator, from which roles they come, and for how long they sign in."""

    roles = _several(
        _("Users with these roles"), _("Whatever they change needs a second administrator."), required=False
    )
    actions = _several(_("These actions"), _("Whoever does them needs a second administrator."), required=False)
    second_roles = _several(
        _("Roles of the second administrator"), _("Besides the role they need a second factor of their own.")
    )
    minutes = forms.IntegerField(
        label=_("Minutes"),
        min_value=LEAST_MINUTES,
        max_value=MOST_MINUTES,
        help_text=_("How long the sign-in of a second administrator counts."),
    )
    lock_version = forms.IntegerField(required=False, min_value=0, max_value=MAX_INTEGER, widget=forms.HiddenInput)

    def __init__(self, *args: Any, policy: Policy, **kwargs: Any) -> None:
        kwargs["initial"] = {
            "roles": sorted(policy.roles),
            "actions": sorted(policy.actions),
            "second_roles": sorted(policy.second_roles),
            "minutes": policy.minutes,
            "lock_version": policy.lock_version,
        }
        super().__init__(*args, **kwargs)
        roles, known = list(role_names().items()), list(acting_views.labels().items())
        for name, choices in (("roles", roles), ("actions", known), ("second_roles", roles)):
            field: Any = self.fields[name]
            field.choices = choices

    def values(self) -> Policy:
        """Return the entered policy. Call after ``is_valid()``."""
        data = self.cleaned_data
        return Policy(
            frozenset(data["roles"]),
            frozenset(data["actions"]),
            frozenset(data["second_roles"]),
            data["minutes"],
            data["lock_version"] or 0,
        )
