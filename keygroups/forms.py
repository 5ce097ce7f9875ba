"""The Key Group dialog. Cleans each field by the rules of ``fields``; the services check again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.urls import reverse_lazy
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _

from cloudcreds.models import KeyVault
from cloudcreds.vaults import clean_vault_url
from hsm.types import KeySpec
from keygroups import fields
from keygroups.choices import AZURE_OPERATIONS, KeyType, PeriodUnit
from keygroups.consumers import CONSUMERS, Consumer
from keygroups.dialog_fields import GroupFields
from keygroups.models import KeyGroup
from keygroups.policy import Policy, tier_text
from keygroups.rotation_schedule import next_due
from keygroups.selectors import list_vaults
from keygroups.services import has_been_pushed, has_keys
from keygroups.values import PLAIN_FIELDS, GroupValues
from keygroups.vault_rules import why_vault_refuses
from kmes.core.clock import now
from kmes.core.errors import InputError
from kmes.core.typed_text import trim

# A change of one of these fields renews the preview.
_PREVIEW = {
    "hx-post": reverse_lazy("keygroups:preview"),
    "hx-trigger": "change",
    "hx-include": "closest form",
    "hx-target": "#group-preview",
    "hx-swap": "innerHTML",
    "hx-sync": "closest form:replace",
}
_PREVIEW_FIELDS = {
    "name",
    "credential",
    "consumer",
    "key_type",
    "key_spec",
    "rotate",
    "rotate_every",
    "rotate_unit",
    "valid_for",
    "valid_unit",
    "vault",
    "vault_url",
    "usage",
}


class GroupForm(GroupFields):
    """Step 2 of the dialog, and the edit page.

    ``current`` is the group that is edited. Fields that can't change any more are disabled, with the reason.
    """

    def __init__(self, *args: Any, current: KeyGroup | None = None, **kwargs: Any) -> None:
        self.current = current
        # Why the chosen consumer can't use the key as it is chosen.
        self.consumer_refusals: list[str] = []
        if current is not None:
            kwargs["initial"] = {**_stored(current), **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        self._offer_choices()
        if self.is_bound:
            # Not needed: a period without rotation, a choice beside a typed vault.
            self.fields["rotate_every"].required = bool(self["rotate"].data)
            self.fields["vault"].required = not trim(self["vault_url"].data or "")
        if current is not None:
            # Which service uses the keys is not stored.
            del self.fields["consumer"]
            self._disable_fixed(current)
        elif self["azure_name"].value() in {None, "", fields.suggest_azure_name(str(self["name"].value()))}:
            # It follows the name until somebody types another one.
            self.fields["azure_name"].widget.attrs["data-follows"] = "#id_name"
        asked = f"{_PREVIEW['hx-post']}?group={current.pk}" if current else str(_PREVIEW["hx-post"])
        for name in self.fields.keys() & _PREVIEW_FIELDS:
            self.fields[name].widget.attrs.update(_PREVIEW, **{"hx-post": asked})
        # The preview is also loaded for the first choices of the page.
        self.fields["key_type"].widget.attrs["hx-trigger"] = "load, change"

    @classmethod
    def unvalidated(cls, data: QueryDict, *, current: KeyGroup | None) -> GroupForm:
        """Return the dialog with what was typed, without checking it yet."""
        open_fields = {name: field for name, field in cls(current=current).fields.items() if not field.disabled}
        typed = {
            name: field.widget.value_from_datadict(data, MultiValueDict(), name) for name, field in open_fields.items()
        }
        return cls(current=current, initial=typed)

    def _offer_choices(self) -> None:
        """Fill the lists, each grouped, so that they can be used without script."""
        lengths = [
            (str(kind.label), [(spec.value, length_label(spec)) for spec in KeySpec if fields.type_of(spec) == kind])
            for kind in KeyType
        ]
        self._choice_field("key_spec").choices = lengths
        vaults = list_vaults()
        field: Any = self.fields["vault"]
        field.queryset = vaults
        by_credential: dict[str, list[tuple[str, str]]] = {}
        for vault in vaults:
            by_credential.setdefault(vault.credential.name, []).append((str(vault.pk), tier_text(vault)))
        field.choices = [("", _("Enter manually")), *by_credential.items()]

    def _choice_field(self, name: str) -> forms.ChoiceField:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        return field

    def _disable_fixed(self, current: KeyGroup) -> None:
        """Disable what keys or pushed versions rely on, with the reason."""
        if has_keys(current):
            self._disable(["key_type"], _("Can't change: the group has keys of this type."))
        if has_been_pushed(current):
            reason = _("Can't change: keys were pushed there. Make another key group for another place.")
            self._disable(["credential", "vault", "azure_name"], reason)
            self.fields["vault_url"].disabled = True
            self.fields["vault_url"].widget = forms.HiddenInput()

    def _disable(self, names: list[str], reason: str) -> None:
        for name in names:
            self.fields[name].disabled = True
            self.fields[name].help_text = reason

    def clean(self) -> dict[str, Any]:
        """Check what depends on other fields: length, use, periods, vault and Azure key name."""
        data: dict[str, Any] = self.cleaned_data
        self._clean_key(data)
        self._clean_periods(data)
        self._clean_vault(data)
        if "name" in data or trim(data.get("azure_name", "")):
            typed = trim(data.get("azure_name", "")) or fields.suggest_azure_name(data.get("name", ""))
            self._set("azure_name", lambda: fields.clean_azure_name(typed))
        return data

    def _clean_key(self, data: dict[str, Any]) -> None:
        kind, spec = data.get("key_type"), data.get("key_spec")
        if kind is None or spec is None:
            return
        if fields.type_of(spec) != kind:
            names = {"length": length_label(KeySpec(spec)), "type": KeyType(kind).label}
            self.add_error(
                "key_spec", _("“%(length)s” is not a length of %(type)s keys. Choose one of that type.") % names
            )
            return
        self._set("usage", lambda: fields.clean_usage(data.get("usage", ()), spec=spec))
        if self.chosen_consumer is not None:
            for field, reason in self.chosen_consumer.refusals(KeySpec(spec), data.get("usage", ())):
                if field not in self.errors:
                    self.add_error(field, reason)
                self.consumer_refusals.append(reason)

    @property
    def chosen_consumer(self) -> Consumer | None:
        """The service that is chosen as user of the keys. Call after ``is_valid()``."""
        return CONSUMERS.get(self.cleaned_data.get("consumer", ""))

    def _clean_periods(self, data: dict[str, Any]) -> None:
        every, unit = data.get("rotate_every"), data.get("rotate_unit", "")
        if every is not None and unit:
            self._set("rotate_every", lambda: fields.clean_period(every, unit, field="rotate_every"))
        valid_for = data.get("valid_for")
        if valid_for is not None and (valid_unit := data.get("valid_unit", "")):
            self._set("valid_for", lambda: fields.clean_period(valid_for, valid_unit, field="valid_for"))

    def _clean_vault(self, data: dict[str, Any]) -> None:
        """Put the vault's URL into ``vault_address``, and errors at the field that was used."""
        credential, chosen = data.get("credential"), data.get("vault")
        typed = trim(data.get("vault_url") or "")
        if credential is None or "vault" in self.errors:
            return
        if chosen is not None and not typed and chosen.credential_id != credential.pk:
            names = {"vault": chosen.name, "credential": chosen.credential.name}
            self.add_error("vault", _("%(vault)s was listed through another credential (%(credential)s).") % names)
            return
        try:
            address = typed or (chosen.url if chosen else "")
            data["vault_address"] = clean_vault_url(address, credential=credential)
        except InputError as error:
            self.add_error("vault_url" if typed else "vault", str(error))

    def values(self) -> GroupValues:
        """Return what was typed, for the services. Call after ``is_valid()``."""
        data = self.cleaned_data
        # Without rotation the number may be empty; the stored one stays.
        stored = self.current.rotate_every if self.current else 90
        plain = {name: data[name] for name in PLAIN_FIELDS} | {"rotate_every": data["rotate_every"] or stored}
        return GroupValues(
            **plain, usage=tuple(data["usage"]), credential=data["credential"], vault=data["vault_address"]
        )

    def policy(self) -> Policy:
        """Return the policy for the preview, from the fields that are valid so far. Call after ``is_valid()``."""
        data = self.cleaned_data
        every, unit = data.get("rotate_every"), data.get("rotate_unit", PeriodUnit.DAYS)
        vault, address = data.get("vault"), data.get("vault_address", "")
        known = vault if vault is not None and vault.url.rstrip("/") == address else None
        credential = data.get("credential")
        if known is None and address and credential is not None:
            known = credential.vaults.filter(url__in=[address, f"{address}/"]).first()
        return Policy(
            rotate=data.get("rotate", False),
            rotate_every=every,
            rotate_unit=unit,
            next_due_at=self._next_due(rotate=data.get("rotate", False), every=every, unit=unit),
            valid_for=data.get("valid_for"),
            valid_unit=data.get("valid_unit", PeriodUnit.DAYS),
            vault_name=known.name if known else address.removeprefix("https://"),
            refusals=[*self.consumer_refusals, *self._refusals(known)],
            **({"tier": known.tier} if known else {}),
        )

    def _refusals(self, vault: KeyVault | None) -> list[str]:
        """Return why the vault or the consumer would refuse the keys; none while type or vault are not known."""
        data = self.cleaned_data
        lacks = self.chosen_consumer.vault_warnings(vault) if self.chosen_consumer else []
        if vault is None or "key_spec" not in data or "valid_for" not in data:
            return lacks
        unit = data.get("valid_unit", PeriodUnit.DAYS)
        return [*lacks, *why_vault_refuses(vault, KeySpec(data["key_spec"]), data["valid_for"], unit)]

    def _next_due(self, *, rotate: bool, every: int | None, unit: str) -> Any:
        """Return when the first rotation falls due if this is saved now."""
        if not rotate or every is None:
            return None
        current = self.current
        if current and (current.rotate, current.rotate_every, current.rotate_unit) == (rotate, every, unit):
            return current.next_due_at
        return next_due(now(), every, unit, after=now())

    def operations(self) -> str:
        """Return the permitted operations of the chosen usage, in Azure's words."""
        usage = self.cleaned_data.get("usage", ())
        return ", ".join(operation for use in usage for operation in AZURE_OPERATIONS[use])

    def accept_current(self, lock_version: int) -> None:
        """After a conflict, let the next save replace the row that the user has been shown."""
        data: Any = self.data
        data = data.copy()
        data[self.add_prefix("lock_version")] = str(lock_version)
        self.data = data


def _stored(group: KeyGroup) -> dict[str, Any]:
    """Return a row as initial values of the form."""
    values = {name: getattr(group, name) for name in (*PLAIN_FIELDS, "usage", "lock_version")}
    return {
        **values,
        "credential": group.credential_id,
        "vault": group.vault_id,
        "key_type": fields.type_of(group.key_spec),
        "tags": fields.show_tags(group.tags),
    }


def length_label(spec: KeySpec) -> str:
    """Return a key length as the dialog shows it beside the key type."""
    return str(spec.bits) if spec.is_rsa else spec.value
