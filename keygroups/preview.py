"""The preview in the open dialog: the policy in a sentence, and narrowed lists. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from cloudcreds.models import CloudCredential, KeyVault
from hsm.types import KeySpec
from keygroups.choices import KeyType
from keygroups.consumers import CONSUMERS
from keygroups.fields import type_of, usages_of
from keygroups.forms import GroupForm, length_label
from keygroups.models import KeyGroup
from keygroups.policy import describe, tier_text
from keygroups.selectors import list_vaults

# A change of these narrows what the other lists offer.
_NARROWING = ("key_type", "credential", "consumer")


@dataclass(frozen=True)
class Choice:
    """One option of a list."""

    value: str
    label: str
    selected: bool


def preview(data: QueryDict, *, current: KeyGroup | None, changed: str) -> dict[str, Any]:
    """Return what the fragment shows. ``changed`` names the field that was just changed ("" for none)."""
    typed = data.copy()
    consumer = CONSUMERS.get(typed.get("consumer", ""))
    if changed == "consumer" and consumer is not None and current is None:
        for name, value in consumer.preset().items():
            typed.setlist(name, value if isinstance(value, list) else [value])
    form = GroupForm(typed, current=current)
    form.is_valid()
    context: dict[str, Any] = {
        "description": describe(form.policy()),
        "operations": form.operations(),
        "consumer": form.chosen_consumer,
    }
    if changed == "consumer":
        kinds = form.chosen_consumer.types if form.chosen_consumer else list(KeyType)
        chosen = form.cleaned_data.get("key_type")
        context["types"] = [Choice(kind.value, str(kind.label), kind == chosen) for kind in kinds]
    if changed in _NARROWING:
        context |= _narrowed(form, typed)
    return context


def _narrowed(form: GroupForm, typed: QueryDict) -> dict[str, Any]:
    """Return the lists that fit the chosen key type and credential."""
    kind = form.cleaned_data.get("key_type") or KeyType.RSA
    chosen = typed.get("key_spec", "")
    taken = form.chosen_consumer.specs if form.chosen_consumer else tuple(KeySpec)
    specs = [spec for spec in KeySpec if type_of(spec) == kind and spec in taken]
    specs = specs or [spec for spec in KeySpec if type_of(spec) == kind]
    selected = chosen if chosen in specs else specs[0]
    usages = usages_of(kind)
    used: Any = form.fields["usage"]
    used.choices = [(use.value, use.label) for use in usages]
    if len(usages) == 1:
        # The only usage stays chosen.
        form.data.setlist("usage", [usages[0].value])  # type: ignore[attr-defined]
    return {
        "lengths": [Choice(spec, length_label(spec), spec == selected) for spec in specs],
        "usage": form["usage"],
        "vaults": _vault_choices(form, typed.get("vault", "")),
    }


def _vault_choices(form: GroupForm, chosen: str) -> list[Choice]:
    credential = form.cleaned_data.get("credential")
    if credential is None or form.fields["vault"].disabled:
        return []
    return vault_choices(credential, chosen)


def vault_choices(credential: CloudCredential, chosen: str) -> list[Choice]:
    """Return the vaults known through a credential, each with its tier, after the choice to type another one."""
    vaults: list[KeyVault] = list(list_vaults().filter(credential=credential))
    listed = [Choice(str(vault.pk), tier_text(vault), str(vault.pk) == chosen) for vault in vaults]
    return [Choice("", _("Enter manually"), not any(choice.selected for choice in listed)), *listed]
