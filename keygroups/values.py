"""What was typed for a key group, and how it differs from the stored row. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cloudcreds.models import CloudCredential
from cloudcreds.vaults import clean_vault_url
from keygroups import fields
from keygroups.choices import KeyUsage, PeriodUnit
from keygroups.models import KeyGroup
from keygroups.policy import period_text
from kmes.core.errors import ConflictError

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

# Logged, and compared when two people edit one group. In the order of the dialog.
LABELS: dict[str, _StrPromise] = {
    "name": gettext_lazy("Name"),
    "credential": gettext_lazy("Credential"),
    "key_spec": gettext_lazy("Key Length"),
    "usage": gettext_lazy("Key Usage"),
    "rotation": gettext_lazy("Rotate Key"),
    "validity": gettext_lazy("Keep key valid for"),
    "notes": gettext_lazy("Notes"),
    "owner": gettext_lazy("Owner"),
    "tags": gettext_lazy("Tags"),
    "vault": gettext_lazy("Key Vault"),
    "azure_name": gettext_lazy("Azure key name"),
    "enabled_on_push": gettext_lazy("Enabled on push"),
}
# Columns that are stored as they were typed.
PLAIN_FIELDS = (
    "name",
    "key_spec",
    "azure_name",
    "enabled_on_push",
    "rotate",
    "rotate_every",
    "rotate_unit",
    "valid_for",
    "valid_unit",
    "notes",
    "owner",
    "tags",
)


@dataclass(frozen=True, kw_only=True)
class GroupValues:
    """What was typed. ``vault`` is a vault's name or URL; an empty ``azure_name`` follows the name."""

    name: str
    credential: CloudCredential
    vault: str
    key_spec: str
    azure_name: str = ""
    usage: tuple[str, ...] = (KeyUsage.SIGN,)
    enabled_on_push: bool = True
    rotate: bool = True
    rotate_every: int = 90
    rotate_unit: str = PeriodUnit.DAYS
    valid_for: int | None = None
    valid_unit: str = PeriodUnit.DAYS
    notes: str = ""
    owner: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def cleaned(self) -> GroupValues:
        """Return the values as they may be stored; ``vault`` is a URL then.

        Raises:
            InputError: a value can't be used; ``field`` names it.

        """
        name, spec = fields.clean_name(self.name), fields.clean_spec(self.key_spec)
        fields.clean_period(self.rotate_every, self.rotate_unit, field="rotate_every")
        if self.valid_for is not None:
            fields.clean_period(self.valid_for, self.valid_unit, field="valid_for")
        return replace(
            self,
            name=name,
            azure_name=fields.clean_azure_name(self.azure_name or fields.suggest_azure_name(name)),
            usage=fields.clean_usage(self.usage, spec=spec),
            vault=clean_vault_url(self.vault, credential=self.credential),
            notes=fields.clean_notes(self.notes),
            owner=fields.clean_owner(self.owner),
            tags=fields.clean_tags(self.tags),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the values as a request for approval holds them."""
        return {**self.plain(), "credential": str(self.credential.pk), "vault": self.vault}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], *, credential: CloudCredential) -> GroupValues:
        """Return the values that ``as_json`` returned, with the credential that they name."""
        plain = {name: stored[name] for name in PLAIN_FIELDS}
        return cls(**plain, usage=tuple(stored["usage"]), credential=credential, vault=stored["vault"])

    def plain(self) -> dict[str, Any]:
        """Return the columns that are stored as they are, without the credential and the vault."""
        return {name: getattr(self, name) for name in PLAIN_FIELDS} | {"usage": list(self.usage)}


@dataclass(frozen=True)
class Difference:
    """One field that differs between the stored row and what was typed."""

    label: str
    stored: str
    yours: str


class GroupChangedError(ConflictError):
    """Somebody else saved the group meanwhile; nothing was overwritten. ``differences`` names the fields."""

    def __init__(self, current: KeyGroup, differences: list[Difference]) -> None:
        super().__init__(
            _("“%(name)s” was changed by somebody else while you were editing it.") % {"name": current.name},
            _("Compare the values below. Your changes were not saved."),
        )
        self.current = current
        self.differences = differences


def readable(source: KeyGroup | GroupValues) -> dict[str, str]:
    """Return a group or typed values as texts by field, for log rows and comparisons."""
    vault = source.vault if isinstance(source.vault, str) else source.vault.url
    return {
        "name": source.name,
        "credential": source.credential.name,
        "key_spec": source.key_spec,
        "usage": ", ".join(str(KeyUsage(use).label) for use in KeyUsage.values if use in source.usage),
        "rotation": period_text(source.rotate_every, source.rotate_unit) if source.rotate else _("never"),
        "validity": period_text(source.valid_for, source.valid_unit) if source.valid_for else _("never expires"),
        "notes": source.notes,
        "owner": source.owner,
        "tags": fields.show_tags(source.tags),
        "vault": vault.rstrip("/"),
        "azure_name": source.azure_name,
        "enabled_on_push": _("yes") if source.enabled_on_push else _("no"),
    }


def differences(current: KeyGroup, values: GroupValues) -> list[Difference]:
    """Return the fields in which the stored row and the typed values differ, in the dialog's order."""
    stored, yours = readable(current), readable(values)
    return [
        Difference(str(label), stored[name] or "-", yours[name] or "-")
        for name, label in LABELS.items()
        if stored[name] != yours[name]
    ]
