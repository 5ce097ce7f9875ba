"""The form that begins a self-certification: in which vault, with which key type."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from cloudcreds.choices import VaultTier
from cloudcreds.models import KeyVault
from cloudcreds.selectors import best_first
from keygroups.choices import SPEC_CHOICES
from kmes.core.ids import new_uuid


class CertificationForm(forms.Form):
    """Asks where and with what the cycle is run; the key makes a doubled submit one run."""

    vault = forms.ModelChoiceField(
        KeyVault.objects.none(),
        label=_("Key Vault"),
        help_text=_("A temporary key is made in it, named kmes-cert-…, and removed again."),
    )
    key_spec = forms.ChoiceField(label=_("Key Length"), choices=SPEC_CHOICES, initial="P-256")
    idempotency_key = forms.UUIDField(widget=forms.HiddenInput, required=False)

    def __init__(self, data: QueryDict | None = None, *, chosen: str = "") -> None:
        super().__init__(data, initial={"idempotency_key": new_uuid()})
        vaults = KeyVault.objects.exclude(tier=VaultTier.STANDARD).select_related("credential")
        field: Any = self.fields["vault"]
        field.queryset = vaults.defer("credential__sealed_secret").order_by("name")
        field.label_from_instance = lambda vault: f"{vault.name} ({vault.get_tier_display()}, {vault.credential.name})"
        rows = best_first(field.queryset)
        # A vault that lets the run purge what it made leaves nothing behind.
        clean = [vault for vault in rows if vault.tier == VaultTier.PREMIUM and vault.is_purge_protected is False]
        field.initial = next((vault for vault in rows if str(vault.pk) == chosen), next(iter(clean or rows), None))
