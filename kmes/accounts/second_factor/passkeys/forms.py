"""Forms of passkeys. The script fills in the answer; it is never shown again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from kmes.accounts.models import Passkey
from kmes.accounts.second_factor.forms import PasswordMixin, passkey_field
from kmes.core.columns import max_length
from kmes.core.errors import InputError, KmesError


class PasskeyForm(forms.Form):
    """The answer of a passkey that signs in."""

    passkey = passkey_field()


class NewPasskeyForm(PasswordMixin):
    """Adds a passkey: its name, the answer of the authenticator that made it, and the password where it is needed."""

    name = forms.CharField(
        label=_("Name"),
        max_length=max_length(Passkey, "name"),
        help_text=_("For you alone, for example the device that holds it."),
    )
    passkey = passkey_field()
    field_order = ("name", "password")

    def __init__(self, request: HttpRequest, *args: Any, asks_password: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ask_password(request, is_needed=asks_password)

    def refuse(self, error: KmesError) -> None:
        """Show a service's refusal above the form, or at the field it belongs to."""
        field = error.field if isinstance(error, InputError) else ""
        self.add_error(field if field in self.fields and field != "passkey" else None, str(error))
