"""The Cloud Credential dialog. Cleans each field by its rules and never shows a secret again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from cloudcreds.azure import addresses, credential_fields
from cloudcreds.choices import CloudName, Service
from cloudcreds.fields import clean_name
from cloudcreds.models import CloudCredential
from cloudcreds.values import PLAIN_FIELDS, CredentialValues
from kmes.core.clock import now
from kmes.core.errors import InputError, KmesError
from kmes.core.secret_types import SecretText
from kmes.core.typed_text import trim

_CODE_INPUT = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}


def _cloud_choices() -> list[tuple[str, Any]]:
    """Return the clouds this installation may use."""
    return [
        choice for choice in CloudName.choices if choice[0] != CloudName.CUSTOM or settings.KMES_ALLOW_CUSTOM_ENDPOINTS
    ]


class CredentialForm(forms.Form):
    """Add or edit a credential; labels as in docs/console.md#dialogs.

    ``current`` is the row being edited; without it a new one is made and the secret is required.
    """

    name = forms.CharField(label=_("Name"), strip=False, widget=forms.TextInput({"autocomplete": "off"}))
    service = forms.ChoiceField(label=_("Service"), choices=Service.choices, initial=Service.AZURE)
    cloud = forms.ChoiceField(label=_("Cloud"), choices=_cloud_choices, initial=CloudName.PUBLIC)
    tenant_id = forms.CharField(
        label=_("Tenant ID"),
        strip=False,
        widget=forms.TextInput(_CODE_INPUT),
        help_text=_("Microsoft Entra ID > Overview: a GUID, or a verified domain."),
    )
    client_id = forms.CharField(
        label=_("Client ID"),
        strip=False,
        widget=forms.TextInput(_CODE_INPUT),
        help_text=_("App registrations > your app > Application (client) ID."),
    )
    # Never rendered again, even after an error.
    secret = forms.CharField(
        label=_("Client Secret"),
        strip=False,
        required=False,
        widget=forms.PasswordInput({**_CODE_INPUT, "autocomplete": "new-password"}, render_value=False),
        help_text=_("Certificates & secrets > Value. Sealed for the HSM on arrival; nobody can read it here again."),
    )
    secret_id = forms.CharField(
        label=_("Secret ID"),
        strip=False,
        required=False,
        widget=forms.TextInput(_CODE_INPUT),
        help_text=_("Certificates & secrets > Secret ID. Its last 4 characters show later which secret this is."),
    )
    sign_in_expires_on = forms.DateField(
        label=_("Secret expires on"),
        required=False,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        help_text=_("As the portal shows it; the dashboard warns 30 days before."),
    )
    authority_url = forms.CharField(
        label=_("Authority URL"), strip=False, required=False, widget=forms.URLInput(_CODE_INPUT)
    )
    arm_url = forms.CharField(
        label=_("Resource Manager URL"), strip=False, required=False, widget=forms.URLInput(_CODE_INPUT)
    )
    lock_version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, current: CloudCredential | None = None, **kwargs: Any) -> None:
        self.current = current
        if current is not None:
            stored = {name: getattr(current, name) for name in (*PLAIN_FIELDS, "lock_version")}
            kwargs["initial"] = {**stored, **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        if current is not None:
            self.fields["secret"].widget.attrs["placeholder"] = _("unchanged")
        else:
            self.fields["secret"].widget.attrs["required"] = True
        if not settings.KMES_ALLOW_CUSTOM_ENDPOINTS:
            del self.fields["authority_url"], self.fields["arm_url"]
        elif settings.KMES_STAND_IN_URL:
            self._hint_at_stand_in(settings.KMES_STAND_IN_URL)

    def _hint_at_stand_in(self, url: str) -> None:
        """Fill in the address of the running stand-in."""
        for name in ("authority_url", "arm_url"):
            self.fields[name].widget.attrs["placeholder"] = url
            self.fields[name].help_text = _("Only for custom endpoints. The stand-in for Azure here: %(url)s") % {
                "url": url
            }
            if self.current is None:
                self.fields[name].initial = url
        if self.current is None:
            self.fields["cloud"].initial = CloudName.CUSTOM

    def clean_name(self) -> str:
        """Return the name as it will be stored."""
        return self._apply(clean_name, "name")

    def clean_tenant_id(self) -> str:
        """Return the tenant as it will be stored."""
        return self._apply(credential_fields.clean_tenant_id, "tenant_id")

    def clean_client_id(self) -> str:
        """Return the client id as it will be stored."""
        return self._apply(credential_fields.clean_client_id, "client_id")

    def clean_secret_id(self) -> str:
        """Return the secret's id as it will be stored. A refused text may be the secret, so it is not shown again."""
        try:
            return self._apply(credential_fields.clean_secret_id, "secret_id")
        except ValidationError:
            sent: Any = self.data
            self.data = sent.copy()
            self.data["secret_id"] = ""  # type: ignore[index]
            raise

    def clean_sign_in_expires_on(self) -> Any:
        """Refuse a past date that is typed now; a stored date that has passed since is kept."""
        expires_on = self.cleaned_data["sign_in_expires_on"]
        unchanged = self.current is not None and expires_on == self.current.sign_in_expires_on
        if expires_on and not unchanged and expires_on < now().date():
            raise ValidationError(_("This date has passed. A secret that has expired is refused by Azure."))
        return expires_on

    def clean(self) -> dict[str, Any]:
        """Check the fields that depend on the chosen cloud: endpoints and the secret."""
        data: dict[str, Any] = self.cleaned_data
        cloud = data.get("cloud", "")
        if cloud == CloudName.CUSTOM:
            for name in ("authority_url", "arm_url"):
                self._apply_to(name, partial(addresses.clean_endpoint, field=name))
        typed = data.get("secret", "")
        if trim(typed) or self.current is None:
            self._apply_to("secret", partial(credential_fields.clean_secret, cloud=cloud))
        else:
            data["secret"] = None
        return data

    def values(self) -> CredentialValues:
        """Return the typed values for the services. Call after ``is_valid()``."""
        data = self.cleaned_data
        secret = data.get("secret")
        plain: dict[str, Any] = {name: data.get(name) or _empty(name) for name in PLAIN_FIELDS}
        return CredentialValues(
            **plain,
            secret=secret if isinstance(secret, SecretText) else None,
        )

    def refuse(self, error: KmesError) -> None:
        """Show an error of the services at its field, else above the form."""
        field = error.field if isinstance(error, InputError) else ""
        self.add_error(field if field in self.fields else None, str(error))

    def follow(self, lock_version: int) -> None:
        """After a conflict, let the next save start from the row that the page shows now."""
        data: Any = self.data
        self.data = data.copy()
        self.data[self.add_prefix("lock_version")] = str(lock_version)  # type: ignore[index]

    def _apply(self, rule: Callable[[str], str], name: str) -> str:
        try:
            return rule(self.cleaned_data[name])
        except InputError as error:
            raise ValidationError(str(error)) from error

    def _apply_to(self, name: str, rule: Callable[[str], Any]) -> None:
        if name in self.errors:
            return
        try:
            self.cleaned_data[name] = rule(self.cleaned_data.get(name, ""))
        except InputError as error:
            self.add_error(error.field if error.field in self.fields else name, str(error))


def _empty(name: str) -> str | None:
    return None if name == "sign_in_expires_on" else ""
