"""Forms about users. None of them shows an entered password again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext_lazy as _

from kmes.accounts.models import User
from kmes.accounts.rights import Role
from kmes.accounts.roles.selectors import list_roles
from kmes.accounts.services import UserValues
from kmes.core.clock import now
from kmes.core.errors import InputError, KmesError

# Longer ones only cost time: each is hashed.
MAX_PASSWORD = 1024


def limit_passwords(form: forms.BaseForm) -> None:
    """Refuse passwords that are far longer than any. Django's forms take any length."""
    for field in form.fields.values():
        if isinstance(field.widget, forms.PasswordInput):
            field.validators.append(MaxLengthValidator(MAX_PASSWORD))


def _role_choices(viewer: Any, present: str) -> list[tuple[str, str]]:
    """Return the roles that the viewer can give, and the present one, with their descriptions."""
    roles = [role for role in list_roles(viewer) if not role.why_not_give or role.code == present]
    return [(role.code, f"{role.name}: {role.description}" if role.description else role.name) for role in roles]


class UserForm(forms.Form):
    """Names and role of a user. ``current`` is the user to edit; without it the form asks for the user name too."""

    username = forms.CharField(
        label=_("User name"),
        max_length=150,
        validators=[
            UnicodeUsernameValidator(message=_("Enter a valid user name: letters, digits and @ . + - _ only."))
        ],
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
        help_text=_("Letters, digits and @ . + - _ It can't be changed later, because log entries refer to it."),
    )
    first_name = forms.CharField(label=_("First name"), max_length=150, required=False)
    last_name = forms.CharField(label=_("Last name"), max_length=150, required=False)
    email = forms.EmailField(label=_("E-mail"), max_length=254, required=False)
    role = forms.ChoiceField(label=_("Role"), initial=Role.AUDITOR, widget=forms.RadioSelect)

    def __init__(self, *args: Any, viewer: Any, current: User | None = None, **kwargs: Any) -> None:
        if current is not None:
            names = ("first_name", "last_name", "email", "role")
            kwargs["initial"] = {name: getattr(current, name) for name in names}
        super().__init__(*args, **kwargs)
        if current is not None:
            del self.fields["username"]
        role: Any = self.fields["role"]
        role.choices = _role_choices(viewer, current.role if current is not None else "")
        if current is not None and current.pk == viewer.pk:
            role.disabled = True
            role.help_text = _("Nobody changes their own role.")

    def values(self) -> UserValues:
        """Return the entered values for the services. Call after ``is_valid()``."""
        data = self.cleaned_data
        return UserValues(data["role"], data["first_name"], data["last_name"], data["email"])

    def refuse(self, error: KmesError) -> None:
        """Show a service's refusal at the field it belongs to, else above the form."""
        field = error.field if isinstance(error, InputError) else ""
        self.add_error(field if field in self.fields else None, str(error))


class SignInForm(AuthenticationForm):
    """Signing in; a one-time password works only until it expires."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": _("User name or password is wrong. Capital and small letters count in both."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Django calls it after the model's field: "Username".
        self.fields["username"].label = _("User name")
        limit_passwords(self)

    def clean_username(self) -> str:
        """Refuse a name that no user can have; Django gives this field no validator of its length."""
        name = str(self.cleaned_data["username"])
        if len(name) > (self.username_field.max_length or 0):
            raise self.get_invalid_login_error()
        return name

    def confirm_login_allowed(self, user: Any) -> None:
        """Refuse a deactivated user, and a one-time password that has expired."""
        super().confirm_login_allowed(user)
        if user.one_time_until is not None and user.one_time_until < now():
            raise ValidationError(
                _("This one-time password has run out. Ask an administrator for another one."), code="one_time"
            )


class OwnPasswordForm(PasswordChangeForm):
    """Changing one's own password: the current one, and the new one twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].label = _("Current password")
        self.fields["new_password2"].label = _("New password again")
        self.fields["new_password2"].help_text = ""
        limit_passwords(self)

    def validate_password_for_user(self, user: User, *_field: str) -> None:
        """Show what is wrong with the new password at its field; Django shows it at the repetition."""
        super().validate_password_for_user(user, "new_password1")

    def clean_new_password1(self) -> str:
        """Refuse the current password as the new one: others may know a one-time password."""
        typed = str(self.cleaned_data["new_password1"])
        if self.user.check_password(typed):
            raise ValidationError(_("The new password is the same as the current one."), code="same")
        return typed
