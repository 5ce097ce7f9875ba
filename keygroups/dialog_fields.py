"""The fields of the Key Group dialog, each cleaned by its own rule of ``fields``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy

from cloudcreds.choices import Service
from cloudcreds.models import CloudCredential, KeyVault
from hsm.types import KeySpec
from keygroups import fields
from keygroups.choices import KeyType, KeyUsage, PeriodUnit
from keygroups.consumers import CONSUMER_CHOICES
from kmes.core.columns import MAX_INTEGER
from kmes.core.errors import InputError, KmesError

_CODE_INPUT = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}


class StorageForm(forms.Form):
    """Step 1 of the dialog: key type and storage location. The console has one of each."""

    key_kind = forms.ChoiceField(
        label=gettext_lazy("Key Type"), choices=[("asymmetric", gettext_lazy("Asymmetric"))], initial="asymmetric"
    )
    storage = forms.ChoiceField(
        label=gettext_lazy("Storage Location"), choices=[("hsm", gettext_lazy("HSM Protected"))], initial="hsm"
    )
    consumer = forms.ChoiceField(
        label=gettext_lazy("Used by"),
        choices=CONSUMER_CHOICES,
        required=False,
        help_text=gettext_lazy("Presets what that service takes, and refuses what it can't use."),
    )


class GroupFields(forms.Form):
    """The fields of the dialog, each cleaned by its own rule."""

    name = forms.CharField(
        label=gettext_lazy("Name"), strip=False, widget=forms.TextInput({"autocomplete": "off", "autofocus": True})
    )
    service = forms.ChoiceField(label=gettext_lazy("Service"), choices=Service.choices, initial=Service.AZURE)
    credential = forms.ModelChoiceField(
        label=gettext_lazy("Credential"),
        queryset=CloudCredential.objects.defer("sealed_secret"),
        empty_label=gettext_lazy("Select…"),
        error_messages={"required": gettext_lazy("Select the cloud credential through which keys are pushed.")},
    )
    consumer = forms.ChoiceField(
        label=gettext_lazy("Used by"),
        choices=CONSUMER_CHOICES,
        required=False,
        help_text=gettext_lazy("Presets what that service takes, and refuses what it can't use."),
    )
    key_type = forms.ChoiceField(label=gettext_lazy("Key Type"), choices=KeyType.choices, initial=KeyType.RSA)
    key_spec = forms.ChoiceField(label=gettext_lazy("Key Length"), initial=KeySpec.RSA_2048)
    usage = forms.MultipleChoiceField(
        label=gettext_lazy("Key Usage"),
        choices=KeyUsage.choices,
        initial=[KeyUsage.SIGN],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("What a pushed key may do in the vault. ECC keys can only sign and verify."),
    )
    rotate = forms.BooleanField(
        label=gettext_lazy("Rotate Key"),
        required=False,
        initial=True,
        help_text=gettext_lazy("Makes a new key when due and pushes it. A changed period counts from the change."),
    )
    rotate_every = forms.IntegerField(
        label=gettext_lazy("Rotate Every"),
        initial=90,
        widget=forms.NumberInput({"min": 1}),
        error_messages={"required": gettext_lazy("Enter how often to rotate, or switch Rotate Key off.")},
    )
    rotate_unit = forms.ChoiceField(
        label=gettext_lazy("Unit of rotation"), choices=PeriodUnit.choices, initial=PeriodUnit.DAYS
    )
    valid_for = forms.IntegerField(
        label=gettext_lazy("Keep key valid for"),
        required=False,
        widget=forms.NumberInput({"min": 1}),
        help_text=gettext_lazy("Becomes the version's expiry in Azure. Leave it empty for keys that never expire."),
    )
    valid_unit = forms.ChoiceField(
        label=gettext_lazy("Unit of validity"), choices=PeriodUnit.choices, initial=PeriodUnit.DAYS
    )
    owner = forms.CharField(label=gettext_lazy("Owner"), required=False, strip=False)
    notes = forms.CharField(
        label=gettext_lazy("Notes"), required=False, strip=False, widget=forms.Textarea({"rows": 3})
    )
    tags = forms.CharField(
        label=gettext_lazy("Tags"),
        required=False,
        strip=False,
        widget=forms.Textarea({**_CODE_INPUT, "rows": 3, "placeholder": "environment=production"}),
        help_text=gettext_lazy("One a line, as name=value. They are set on each pushed version."),
    )
    vault = forms.ModelChoiceField(
        label=gettext_lazy("Key Vault"),
        queryset=KeyVault.objects.none(),
        error_messages={
            "required": gettext_lazy("The key vault is missing. Choose one from the list, or type its name or URL.")
        },
        empty_label=gettext_lazy("Enter manually"),
        help_text=gettext_lazy("Vaults found through the credential, each with its tier."),
    )
    vault_url = forms.CharField(
        label=gettext_lazy("Key Vault name or URL"),
        required=False,
        strip=False,
        widget=forms.TextInput(_CODE_INPUT),
        help_text=gettext_lazy("For a vault that is not in the list; overrides the list."),
    )
    azure_name = forms.CharField(
        label=gettext_lazy("Azure key name"),
        required=False,
        strip=False,
        widget=forms.TextInput(_CODE_INPUT),
        help_text=gettext_lazy(
            "1 to 127 letters, digits and hyphens. Left empty, it follows the letters a to z and digits of the name."
        ),
    )
    enabled_on_push = forms.BooleanField(label=gettext_lazy("Enabled on push"), required=False, initial=True)
    lock_version = forms.IntegerField(required=False, min_value=0, max_value=MAX_INTEGER, widget=forms.HiddenInput)

    def clean_name(self) -> str:
        """Return the name as it will be stored."""
        return str(self._apply(fields.clean_name, "name"))

    def clean_owner(self) -> str:
        """Return the owner as it will be stored."""
        return str(self._apply(fields.clean_owner, "owner"))

    def clean_notes(self) -> str:
        """Return the notes as they will be stored."""
        return str(self._apply(fields.clean_notes, "notes"))

    def clean_tags(self) -> dict[str, str]:
        """Return the tags as they will be stored."""
        return dict(self._apply(lambda text: fields.clean_tags(fields.parse_tags(text)), "tags"))

    def refuse(self, error: KmesError) -> None:
        """Show a service's error at its field, else above the form."""
        field = error.field if isinstance(error, InputError) else ""
        if field == "vault" and self.cleaned_data.get("vault_url"):
            field = "vault_url"
        self.add_error(field if field in self.fields else None, str(error))

    def _apply(self, rule: Callable[[str], Any], name: str) -> Any:
        try:
            return rule(self.cleaned_data[name])
        except InputError as error:
            raise ValidationError(str(error)) from error

    def _set(self, name: str, rule: Callable[[], Any]) -> None:
        if name in self.errors:
            return
        try:
            self.cleaned_data[name] = rule()
        except InputError as error:
            self.add_error(name, str(error))
