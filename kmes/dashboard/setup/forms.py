"""Forms of the wizard: a vault by its address, and the first key group."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from cloudcreds.choices import VaultTier
from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.selectors import best_first
from keygroups.choices import SPEC_CHOICES
from kmes.core.ids import new_uuid


class VaultForm(forms.Form):
    """Asks for a vault that the credential may not list."""

    # Without an empty entry the first credential is chosen.
    credential = forms.ModelChoiceField(CloudCredential.objects.none(), label=_("Credential"), empty_label=None)
    vault = forms.CharField(
        label=_("Key Vault name or URL"),
        max_length=255,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
        error_messages={"required": _("The key vault is missing. Type its name or URL.")},
    )

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data)
        field: Any = self.fields["credential"]
        field.queryset = CloudCredential.objects.defer("sealed_secret").order_by("name")
        # Read once: Django's own iterator asks the database for each look at the choices.
        field.choices = list(iter(field.choices))


class FirstPushForm(forms.Form):
    """Asks for the first key group: where, its name, its key type."""

    vault = forms.ModelChoiceField(KeyVault.objects.none(), label=_("Key Vault"))
    name = forms.CharField(
        label=_("Name of the key group"),
        max_length=128,
        initial="first-group",
        widget=forms.TextInput({"autocomplete": "off"}),
        error_messages={"required": _("The key group needs a name.")},
        help_text=_("It is the key's name in Azure too."),
    )
    key_spec = forms.ChoiceField(label=_("Key Length"), choices=SPEC_CHOICES, initial="RSA-3072")
    idempotency_key = forms.UUIDField(widget=forms.HiddenInput, required=False)

    def __init__(self, data: QueryDict | None = None, *, chosen: str = "") -> None:
        super().__init__(data, initial={"idempotency_key": new_uuid()})
        field: Any = self.fields["vault"]
        vaults = KeyVault.objects.filter(tier=VaultTier.PREMIUM).select_related("credential")
        field.queryset = vaults.defer("credential__sealed_secret").order_by("name")
        field.label_from_instance = lambda vault: f"{vault.name} ({vault.credential.name})"
        # Read once: Django's own iterator asks the database for each look at the choices.
        named = [(vault.pk, field.label_from_instance(vault)) for vault in field.queryset]
        field.choices = [("", field.empty_label), *named]
        rows = best_first(field.queryset)
        # Read once, as above.
        field.choices = [
            ("", field.empty_label),
            *((each.pk, field.label_from_instance(each)) for each in field.queryset),
        ]
        field.initial = next((vault for vault in rows if str(vault.pk) == chosen), rows[0] if rows else None)
