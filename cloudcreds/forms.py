"""The Cloud Credential dialog. Cleans each field by its rules and never shows a secret again."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from cloudcreds.azure import addresses, credential_fields
from cloudcreds.choices import CloudName, Service
from cloudcreds.fields import clean_name
from cloudcreds.models import CloudCredential
from cloudcreds.sign_in_form import CODE_INPUT, SignInForm
from cloudcreds.values import PLAIN_FIELDS, CredentialValues
from kmes.core.columns import MAX_INTEGER
from kmes.core.errors import InputError, KmesError
from kmes.core.secret_types import SecretText

# What the stand-in for Azure knows from its start (docs/azure-emulator.md#start).
STAND_IN_TENANT = "11111111-1111-1111-1111-111111111111"
STAND_IN_CLIENT = "22222222-2222-2222-2222-222222222222"


def _cloud_choices() -> list[tuple[str, Any]]:
    """Return the clouds this installation may use."""
    return [
        choice for choice in CloudName.choices if choice[0] != CloudName.CUSTOM or settings.KMES_ALLOW_CUSTOM_ENDPOINTS
    ]


class CredentialForm(SignInForm):
    """Add or edit a credential; labels as in docs/console.md#dialogs.

    ``current`` is the row being edited; without it a new one is made.
    """

    name = forms.CharField(label=_("Name"), strip=False, widget=forms.TextInput({"autocomplete": "off"}))
    service = forms.ChoiceField(label=_("Service"), choices=Service.choices, initial=Service.AZURE)
    cloud = forms.ChoiceField(label=_("Cloud"), choices=_cloud_choices, initial=CloudName.PUBLIC)
    tenant_id = forms.CharField(
        label=_("Tenant ID"),
        strip=False,
        widget=forms.TextInput(CODE_INPUT),
        help_text=_("Microsoft Entra ID > Overview: a GUID, or a verified domain."),
    )
    client_id = forms.CharField(
        label=_("Client ID"),
        strip=False,
        # A managed identity of the host itself has none; the rules say so for the others.
        required=False,
        widget=forms.TextInput({**CODE_INPUT, "required": True}),
        help_text=_(
            "App registrations > your app > Application (client) ID. For a managed identity: that of the identity"
            " assigned to the host, or empty for the one of the host itself."
        ),
    )
    authority_url = forms.CharField(
        label=_("Authority URL"), strip=False, required=False, widget=forms.URLInput(CODE_INPUT)
    )
    arm_url = forms.CharField(
        label=_("Resource Manager URL"), strip=False, required=False, widget=forms.URLInput(CODE_INPUT)
    )
    lock_version = forms.IntegerField(required=False, min_value=0, max_value=MAX_INTEGER, widget=forms.HiddenInput)

    def __init__(self, *args: Any, current: CloudCredential | None = None, **kwargs: Any) -> None:
        self.current = current
        if current is not None:
            stored = {name: getattr(current, name) for name in (*PLAIN_FIELDS, "lock_version")}
            kwargs["initial"] = {**stored, **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        self.mark_what_is_stored()
        if not settings.KMES_ALLOW_CUSTOM_ENDPOINTS:
            del self.fields["authority_url"], self.fields["arm_url"]
        elif settings.KMES_STAND_IN_URL:
            self._hint_at_stand_in(settings.KMES_STAND_IN_URL)

    def _hint_at_stand_in(self, url: str) -> None:
        """Fill in the address and the ids of the running stand-in."""
        for name in ("authority_url", "arm_url"):
            self.fields[name].widget.attrs["placeholder"] = url
            self.fields[name].help_text = _("Only for custom endpoints. The stand-in for Azure here: %(url)s") % {
                "url": url
            }
            if self.current is None:
                self.fields[name].initial = url
        if self.current is None:
            self.fields["cloud"].initial = CloudName.CUSTOM
            self.fields["tenant_id"].initial, self.fields["client_id"].initial = STAND_IN_TENANT, STAND_IN_CLIENT

    def clean_name(self) -> str:
        """Return the name as it will be stored."""
        return self.apply(clean_name, "name")

    def clean_tenant_id(self) -> str:
        """Return the tenant as it will be stored."""
        return self.apply(credential_fields.clean_tenant_id, "tenant_id")

    def clean(self) -> dict[str, Any]:
        """Check the fields that depend on others: endpoints, and what the way to sign in needs."""
        data: dict[str, Any] = self.cleaned_data
        cloud = data.get("cloud", "")
        if cloud == CloudName.CUSTOM:
            for name in ("authority_url", "arm_url"):
                self.apply_to(name, partial(addresses.clean_endpoint, field=name))
        else:
            # Azure's own clouds have their own endpoints; what stands here is not looked at.
            data |= {"authority_url": "", "arm_url": ""}
        self.apply_to("client_id", partial(credential_fields.clean_client_id, sign_in=data.get("sign_in", "")))
        self.clean_proof(cloud)
        return data

    @property
    def endpoints(self) -> list[forms.BoundField]:
        """Return the fields of custom endpoints, where the installation allows them."""
        return [self[name] for name in ("authority_url", "arm_url") if name in self.fields]

    def values(self) -> CredentialValues:
        """Return the typed values for the services. Call after ``is_valid()``."""
        data = self.cleaned_data
        secret = data.get("secret")
        plain: dict[str, Any] = {name: data.get(name) or _empty(name) for name in PLAIN_FIELDS}
        return CredentialValues(
            **plain,
            secret=secret if isinstance(secret, SecretText) else None,
            certificate=data.get("certificate"),
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


def _empty(name: str) -> str | None:
    return None if name == "sign_in_expires_on" else ""
