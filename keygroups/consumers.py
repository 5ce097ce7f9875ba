"""Services that use a pushed key, and what each takes: key types and lengths, uses, purge protection of the vault.

The facts and their sources: docs/azure.md#what-uses-a-key. Reads no rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cloudcreds.models import KeyVault
from hsm.types import KeySpec
from keygroups.choices import KeyType, KeyUsage
from keygroups.fields import type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.utils.functional import _StrPromise

_UP_TO_3072 = (KeySpec.RSA_3072, KeySpec.RSA_2048)
_ANY_RSA = (*_UP_TO_3072, KeySpec.RSA_4096)


@dataclass(frozen=True)
class Consumer:
    """A service that uses keys. ``specs``: what it takes, the preset first. ``usages``: what it needs of a key."""

    value: str
    label: _StrPromise
    specs: tuple[KeySpec, ...]
    usages: tuple[KeyUsage, ...]
    needs_purge_protection: bool = False

    @property
    def types(self) -> list[KeyType]:
        """The key types that it takes."""
        return [kind for kind in KeyType if any(type_of(spec) == kind for spec in self.specs)]

    def preset(self) -> dict[str, Any]:
        """Return what the dialog's fields begin with."""
        return {
            "key_type": type_of(self.specs[0]).value,
            "key_spec": self.specs[0].value,
            "usage": [use.value for use in self.usages],
        }

    def describe(self) -> str:
        """Return what it takes in one sentence."""
        sizes = {
            KeyType.RSA: ", ".join(str(spec.bits) for spec in sorted(self.specs) if spec.is_rsa),
            KeyType.ECC: ", ".join(spec.value for spec in sorted(self.specs) if not spec.is_rsa),
        }
        taken = " / ".join(f"{kind.label} {sizes[kind]}" for kind in self.types)
        uses = ", ".join(str(use.label) for use in self.usages)
        sentence = _("%(name)s takes %(keys)s; uses: %(uses)s.") % {"name": self.label, "keys": taken, "uses": uses}
        if self.needs_purge_protection:
            sentence += " " + _("The vault needs purge protection.")
        return sentence

    def refusals(self, spec: KeySpec, usages: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield field and reason for each choice with which it can't use the key."""
        if spec not in self.specs:
            yield (
                "key_spec",
                _("%(name)s can't use %(key)s keys. Choose one of: %(keys)s.")
                % {"name": self.label, "key": spec.value, "keys": ", ".join(sorted(self.specs))},
            )
        if missing := [str(use.label) for use in self.usages if use not in usages]:
            yield (
                "usage",
                _("%(name)s also needs: %(uses)s.") % {"name": self.label, "uses": ", ".join(missing)},
            )

    def vault_warnings(self, vault: KeyVault | None) -> list[str]:
        """Return what the vault lacks for it, as last read."""
        if not self.needs_purge_protection or vault is None or vault.is_purge_protected is not False:
            return []
        return [
            _("%(vault)s has no purge protection. Turn it on in Azure before %(name)s uses the key.")
            % {"vault": vault.name, "name": self.label}
        ]


CONSUMERS = {
    each.value: each
    for each in (
        Consumer("sql_tde", gettext_lazy("SQL Server TDE"), _UP_TO_3072, (KeyUsage.WRAP,), needs_purge_protection=True),
        Consumer("always_encrypted", gettext_lazy("SQL Always Encrypted"), _ANY_RSA, (KeyUsage.SIGN, KeyUsage.WRAP)),
        Consumer("storage", gettext_lazy("Azure Storage"), _ANY_RSA, (KeyUsage.WRAP,), needs_purge_protection=True),
        Consumer(
            "managed_disks",
            gettext_lazy("Managed disks (disk encryption set)"),
            _ANY_RSA,
            (KeyUsage.WRAP,),
            needs_purge_protection=True,
        ),
        Consumer("mongodb", gettext_lazy("MongoDB (Queryable Encryption, CSFLE)"), _ANY_RSA, (KeyUsage.WRAP,)),
        Consumer("kafka", gettext_lazy("Kafka (field encryption)"), _ANY_RSA, (KeyUsage.ENCRYPT,)),
        Consumer(
            "signing",
            gettext_lazy("Signing"),
            (KeySpec.P_256, KeySpec.P_384, KeySpec.P_521, KeySpec.P_256K, *_ANY_RSA),
            (KeyUsage.SIGN,),
        ),
    )
}
CONSUMER_CHOICES = [("", gettext_lazy("Anything")), *((each.value, each.label) for each in CONSUMERS.values())]
