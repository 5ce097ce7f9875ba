"""Forms of the second factor. None of them shows an entered code or password again."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from kmes.accounts.forms import limit_passwords
from kmes.accounts.second_factor import seals
from kmes.core.errors import InputError, KmesError

MAX_CODE = 64
MAX_SEAL = 300
# How long a QR code may be looked at before its code is entered.
OFFERED_FOR = timedelta(minutes=30)
_OFFERS = "kmes.second_factor.offer"


class _CodeInput(forms.TextInput):
    """A field whose value is never shown again, as that of a password."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:  # noqa: ARG002 - Django's
        """Leave the value out."""
        return super().get_context(name, None, attrs)


def _code_field(label: Any, help_text: Any = "", **more: bool) -> forms.CharField:
    attributes = {"autocomplete": "one-time-code", "spellcheck": "false", "autocapitalize": "off", **more}
    return forms.CharField(label=label, max_length=MAX_CODE, help_text=help_text, widget=_CodeInput(attributes))


class CodeForm(forms.Form):
    """A code of the app, or a recovery code."""

    code = _code_field(_("Code"), _("The 6 digits in the authenticator app, or a recovery code."), autofocus=True)

    def refuse(self, error: KmesError) -> None:
        """Show a service's refusal at the field it belongs to, else above the form."""
        field = error.field if isinstance(error, InputError) else ""
        self.add_error(field if field in self.fields else None, str(error))


class AppForm(CodeForm):
    """Adds an authenticator app: the seed that was offered, a code of it, and the password where it was not just entered."""

    # Sealed, so that the seed lies nowhere in clear before the app is added.
    token = forms.CharField(max_length=MAX_SEAL, widget=forms.HiddenInput)
    code = _code_field(_("Code in the app"))
    password = forms.CharField(
        label=_("Password"), strip=False, widget=forms.PasswordInput({"autocomplete": "current-password"})
    )

    def __init__(self, request: HttpRequest, *args: Any, asks_password: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        limit_passwords(self)
        if not asks_password:
            del self.fields["password"]

    def clean_token(self) -> bytes:
        """Return the seed."""
        assert self.request.user.pk is not None
        try:
            signed = TimestampSigner(salt=_OFFERS).unsign(self.cleaned_data["token"], max_age=OFFERED_FOR)
            sealed = base64.urlsafe_b64decode(signed)
            return seals.open_seal(sealed, user_id=self.request.user.pk, purpose="offer")
        except (SignatureExpired, BadSignature, binascii.Error, seals.SealError):
            raise ValidationError(_("The QR code is too old. Scan the new one."), code="offer") from None

    def clean_password(self) -> str:
        """Check the password as a sign-in does, with its limits and its log rows."""
        typed = str(self.cleaned_data["password"])
        name = self.request.user.get_username()
        if authenticate(self.request, username=name, password=typed) is None:
            raise ValidationError(_("The password is wrong."), code="password")
        return typed


def offer(seed: bytes, *, user_id: int) -> str:
    """Return a seed as the form carries it."""
    sealed = seals.seal(seed, user_id=user_id, purpose="offer")
    return TimestampSigner(salt=_OFFERS).sign(base64.urlsafe_b64encode(sealed).decode())
