"""The part of the Cloud Credential dialog that asks how the credential signs in.

Fields of ways that are not chosen are ignored. Never shows a secret or a password again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from cloudcreds.azure import credential_fields
from cloudcreds.azure.sign_in.certificate_files import MAX_FILE_BYTES, MAX_PASSWORD, read_certificate_file
from cloudcreds.choices import SignIn
from cloudcreds.models import CloudCredential
from kmes.core.clock import now
from kmes.core.errors import InputError
from kmes.core.secret_types import SecretText
from kmes.core.typed_text import trim

# Reminders count from the date on, up to the end of the calendar.
LAST_YEAR = 2999
CODE_INPUT = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}

# What each way to sign in asks for.
_FIELDS_OF_WAY: dict[str, tuple[str, ...]] = {
    SignIn.SECRET: ("secret", "secret_id", "sign_in_expires_on"),
    SignIn.CERTIFICATE: ("certificate_file", "certificate_password"),
    SignIn.DEVICE_CERTIFICATE: (),
    SignIn.FEDERATION: (),
    SignIn.MANAGED_IDENTITY: (),
}


class SignInForm(forms.Form):
    """The way to sign in, with the fields of each. ``current`` is the row being edited, None for a new one."""

    current: CloudCredential | None

    sign_in = forms.ChoiceField(
        label=_("Sign in with"),
        choices=SignIn.choices,
        initial=SignIn.SECRET,
        widget=forms.RadioSelect,
        # What was posted before there was a choice means a secret.
        required=False,
    )
    # Never rendered again, even after an error.
    secret = forms.CharField(
        label=_("Client Secret"),
        strip=False,
        required=False,
        widget=forms.PasswordInput({**CODE_INPUT, "autocomplete": "new-password"}, render_value=False),
        help_text=_("Certificates & secrets > Value. Sealed for the HSM on arrival; nobody can read it here again."),
    )
    secret_id = forms.CharField(
        label=_("Secret ID"),
        strip=False,
        required=False,
        widget=forms.TextInput(CODE_INPUT),
        help_text=_("Certificates & secrets > Secret ID. Its last 4 characters show later which secret this is."),
    )
    sign_in_expires_on = forms.DateField(
        label=_("Secret expires on"),
        required=False,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        help_text=_("As the portal shows it; the dashboard warns 30 days before."),
    )
    certificate_file = forms.FileField(
        label=_("Certificate file"),
        required=False,
        max_length=255,
        widget=forms.FileInput({"accept": ".pem,.pfx,.p12"}),
        help_text=_(
            "PEM or PFX with the private key (RSA). The key is sealed for the HSM on arrival; the certificate must be"
            " registered under Certificates & secrets > Certificates."
        ),
    )
    certificate_password = forms.CharField(
        label=_("Password of the file"),
        strip=False,
        required=False,
        max_length=MAX_PASSWORD,
        widget=forms.PasswordInput({**CODE_INPUT, "autocomplete": "new-password"}, render_value=False),
        help_text=_("Used once to open the file, and not stored."),
    )

    def mark_what_is_stored(self) -> None:
        """Say of a field that may stay empty because its value is stored."""
        way = self.current.sign_in if self.current is not None else ""
        secret, file = self.fields["secret"], self.fields["certificate_file"]
        secret.widget.attrs["required"] = way != SignIn.SECRET
        file.widget.attrs["required"] = way != SignIn.CERTIFICATE
        if way == SignIn.SECRET:
            secret.widget.attrs["placeholder"] = _("unchanged")
        if way == SignIn.CERTIFICATE:
            file.help_text = _("Leave empty to keep the certificate in use.")

    def clean_sign_in(self) -> str:
        """Return the way to sign in, if this installation offers it."""
        self.cleaned_data["sign_in"] = self.cleaned_data["sign_in"] or SignIn.SECRET
        return self.apply(credential_fields.clean_sign_in, "sign_in")

    def clean_secret_id(self) -> str:
        """Return the secret's id as it will be stored. A refused text may be the secret, so it is not shown again."""
        if self.cleaned_data.get("sign_in") != SignIn.SECRET:
            return ""
        try:
            return self.apply(credential_fields.clean_secret_id, "secret_id")
        except ValidationError:
            sent: Any = self.data
            self.data = sent.copy()
            self.data["secret_id"] = ""  # type: ignore[index]
            raise

    def clean_sign_in_expires_on(self) -> Any:
        """Refuse a past date that is typed now; a stored date that has passed since is kept."""
        expires_on = self.cleaned_data["sign_in_expires_on"]
        if expires_on and expires_on.year > LAST_YEAR:
            raise ValidationError(_("Use a date before the year %(year)d.") % {"year": LAST_YEAR + 1})
        unchanged = self.current is not None and expires_on == self.current.sign_in_expires_on
        if (
            self.cleaned_data.get("sign_in") == SignIn.SECRET
            and expires_on
            and not unchanged
            and expires_on < now().date()
        ):
            raise ValidationError(_("This date has passed. A secret that has expired is refused by Azure."))
        return expires_on

    def clean_proof(self, cloud: str) -> None:
        """Check what the chosen way to sign in needs."""
        data = self.cleaned_data
        way, typed = data.get("sign_in"), data.get("secret", "")
        data["certificate"] = None
        if way == SignIn.CERTIFICATE:
            self._read_certificate()
        if way == SignIn.SECRET and (trim(typed) or self._is_new_way()):
            self.apply_to("secret", partial(credential_fields.clean_secret, cloud=cloud))
        else:
            data["secret"] = None

    def _is_new_way(self) -> bool:
        """Return whether nothing is stored yet for the chosen way to sign in."""
        return self.current is None or self.current.sign_in != self.cleaned_data.get("sign_in")

    def _read_certificate(self) -> None:
        """Read an uploaded certificate with its key; the file and its password go no further."""
        data = self.cleaned_data
        file, password = data.pop("certificate_file", None), SecretText(data.pop("certificate_password", None) or "")
        if file is None:
            if self._is_new_way() and "certificate_file" not in self.errors:
                self.add_error("certificate_file", _("The certificate is missing. Choose a PEM or PFX file."))
            return
        try:
            data["certificate"] = read_certificate_file(file.read(MAX_FILE_BYTES + 1), password=password)
        except InputError as error:
            self.add_error(error.field, str(error))

    @property
    def ways(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Return the ways to sign in, each with its own fields, in the order of the page."""
        return [(way, [self[name] for name in _FIELDS_OF_WAY[way]]) for way in SignIn.values]

    def apply(self, rule: Callable[[str], str], name: str) -> str:
        """Return a field's value as a rule of the services makes it, or say at the field why not."""
        try:
            return rule(self.cleaned_data[name])
        except InputError as error:
            raise ValidationError(str(error)) from error

    def apply_to(self, name: str, rule: Callable[[str], Any]) -> None:
        """Do the same for a field whose rule depends on others."""
        if name in self.errors:
            return
        try:
            self.cleaned_data[name] = rule(self.cleaned_data.get(name, ""))
        except InputError as error:
            self.add_error(error.field if error.field in self.fields else name, str(error))
