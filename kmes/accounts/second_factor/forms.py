"""Forms of the second factor. None of them shows an entered code, password or answer again."""

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
# An answer with an RSA key of 4,096 bits and an id of the longest size has some 6,000 characters.
MAX_ANSWER = 16_384
# How long a QR code may be looked at before its code is entered.
OFFERED_FOR = timedelta(minutes=30)
_OFFERS = "kmes.second_factor.offer"


class _Unshown(forms.Widget):
    """A field whose value is never shown again, as that of a password."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:  # noqa: ARG002 - Django's
        """Leave the value out."""
        return super().get_context(name, None, attrs)


class _CodeInput(_Unshown, forms.TextInput):
    pass


class _PasskeyInput(_Unshown, forms.HiddenInput):
    pass


def passkey_field(*, required: bool = True) -> forms.CharField:
    """Return the field that the script fills with a passkey's answer."""
    return forms.CharField(required=required, max_length=MAX_ANSWER, widget=_PasskeyInput)


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


class ProofForm(CodeForm):
    """A code, or the answer of a passkey."""

    code = _code_field(_("Code"), _("The 6 digits in the authenticator app, or a recovery code."), autofocus=True)
    passkey = passkey_field(required=False)

    def __init__(self, *args: Any, has_app: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not has_app:
            self.fields["code"].label = _("Recovery code")
            self.fields["code"].help_text = _("Instead of the passkey. Each code works once.")
            self.fields["code"].widget.attrs.pop("autofocus", None)
        # With an answer there is no code, and no text field to be filled in.
        if self.data.get(self.add_prefix("passkey")):
            self.fields["code"].required = False


class PasswordMixin(forms.Form):
    """Asks for the user's own password, unless it was just entered."""

    password = forms.CharField(
        label=_("Password"), strip=False, widget=forms.PasswordInput({"autocomplete": "current-password"})
    )
    request: HttpRequest

    def ask_password(self, request: HttpRequest, *, is_needed: bool) -> None:
        """Say whose password it is; leave the field out where it is not needed."""
        self.request = request
        limit_passwords(self)
        if not is_needed:
            del self.fields["password"]

    def clean_password(self) -> str:
        """Check the password as a sign-in does, with its limits and its log rows."""
        typed = str(self.cleaned_data["password"])
        name = self.request.user.get_username()
        if authenticate(self.request, username=name, password=typed) is None:
            raise ValidationError(_("The password is wrong."), code="password")
        return typed


class AppForm(PasswordMixin, CodeForm):
    """Adds an authenticator app: the seed that was offered, a code of it, and the password where it was not just entered."""

    # Sealed, so that the seed lies nowhere in clear before the app is added.
    token = forms.CharField(max_length=MAX_SEAL, widget=forms.HiddenInput)
    code = _code_field(_("Code in the app"))

    def __init__(self, request: HttpRequest, *args: Any, asks_password: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ask_password(request, is_needed=asks_password)

    def clean_token(self) -> bytes:
        """Return the seed."""
        assert self.request.user.pk is not None
        try:
            signed = TimestampSigner(salt=_OFFERS).unsign(self.cleaned_data["token"], max_age=OFFERED_FOR)
            sealed = base64.urlsafe_b64decode(signed)
            return seals.open_seal(sealed, user_id=self.request.user.pk, purpose="offer")
        except (SignatureExpired, BadSignature, binascii.Error, seals.SealError):
            raise ValidationError(_("The QR code is too old. Scan the new one."), code="offer") from None


def offer(seed: bytes, *, user_id: int) -> str:
    """Return a seed as the form carries it."""
    sealed = seals.seal(seed, user_id=user_id, purpose="offer")
    return TimestampSigner(salt=_OFFERS).sign(base64.urlsafe_b64encode(sealed).decode())
