"""What the policies of a vault demand of new key versions, and whether keys and ephemeral keys can meet it.

Knows the policies as they were last read (``KeyVault.policies``). Asks no cloud and writes no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.kek_shapes import LARGEST_BITS, KekShape
from cloudcreds.models import KeyVault
from cloudcreds.provider.vault_setup import PolicyAssignment, Rule
from hsm.types import KeySpec

# The type of each ephemeral key.
KEK_TYPE = "RSA-HSM"


@dataclass(frozen=True)
class KeyRules:
    """The rules that refuse a version. None: there is no such rule."""

    needs_expiry: bool = False
    # The version must live for more than these days.
    minimum_days: int | None = None
    maximum_days: int | None = None
    minimum_rsa_bits: int | None = None
    key_types: frozenset[str] | None = None
    curves: frozenset[str] | None = None

    def fit_kek(self, bits: int = 0) -> KekShape | None:
        """Return the ephemeral key of ``bits`` or more that the rules allow; None when they allow none."""
        shape = KekShape(max(bits, self.minimum_rsa_bits or 0))
        usual = shape.lifetime
        if self.minimum_days is not None and usual <= timedelta(days=self.minimum_days):
            shape = KekShape(shape.bits, self.minimum_days + 1)
        is_refused = (
            (self.key_types is not None and KEK_TYPE not in self.key_types)
            or shape.bits > LARGEST_BITS
            or (self.maximum_days is not None and shape.lifetime > timedelta(days=self.maximum_days))
        )
        return None if is_refused else shape

    def why_no_kek(self) -> str:
        """Say why no ephemeral key can be made, so that nothing can be pushed; "" when one can."""
        if self.fit_kek() is not None:
            return ""
        if self.key_types is not None and KEK_TYPE not in self.key_types:
            return _(
                "A policy of the vault allows keys of other types than RSA-HSM only (%(types)s). BYOK needs an ephemeral "
                "RSA key in the vault, so nothing can be pushed. Allow RSA-HSM in the policy, or exempt the vault."
            ) % {"types": ", ".join(sorted(self.key_types))}
        if (self.minimum_rsa_bits or 0) > LARGEST_BITS:
            return _(
                "A policy of the vault requires RSA keys of %(bits)d bits or more; the largest that a vault makes has "
                "%(largest)d. Lower the policy's minimum."
            ) % {"bits": self.minimum_rsa_bits, "largest": LARGEST_BITS}
        return _(
            "The policies of the vault contradict each other: a key must live for more than %(minimum)d days and be valid "
            "for %(maximum)d days at most. No ephemeral key can meet both, so nothing can be pushed."
        ) % {"minimum": self.minimum_days or 0, "maximum": self.maximum_days or 0}

    def why_not(self, spec: KeySpec, lifetime: timedelta | None) -> list[str]:
        """Say why a key of this type that is valid for this time (None: without end) would be refused, rule by rule."""
        return list(self._refusals(spec, lifetime))

    def _refusals(self, spec: KeySpec, lifetime: timedelta | None) -> Iterator[str]:
        if why := self.why_no_kek():
            yield why
        if self.key_types is not None and spec.azure_kty not in self.key_types:
            yield _("A policy of the vault allows keys of these types only: %(types)s. This key is %(type)s.") % {
                "types": ", ".join(sorted(self.key_types)),
                "type": spec.azure_kty,
            }
        if spec.is_rsa and spec.bits < (self.minimum_rsa_bits or 0):
            yield _("A policy of the vault requires RSA keys of %(bits)d bits or more. This key has %(own)d.") % {
                "bits": self.minimum_rsa_bits,
                "own": spec.bits,
            }
        if self.curves is not None and spec.curve and spec.curve not in self.curves:
            yield _("A policy of the vault allows these curves only: %(curves)s. This key is on %(curve)s.") % {
                "curves": ", ".join(sorted(self.curves)),
                "curve": spec.curve,
            }
        yield from self._refusals_of_life(lifetime)

    def _refusals_of_life(self, lifetime: timedelta | None) -> Iterator[str]:
        if lifetime is None:
            if self.needs_expiry:
                yield _("A policy of the vault requires an expiry. Set “Keep key valid for” in the key group.")
            return
        if self.minimum_days is not None and lifetime <= timedelta(days=self.minimum_days):
            yield ngettext(
                "A policy of the vault requires keys that live for more than %(days)d day. Raise “Keep key valid for”.",
                "A policy of the vault requires keys that live for more than %(days)d days. Raise “Keep key valid for”.",
                self.minimum_days,
            ) % {"days": self.minimum_days}
        if self.maximum_days is not None and lifetime > timedelta(days=self.maximum_days):
            yield ngettext(
                "A policy of the vault allows keys that are valid for %(days)d day at most. Lower “Keep key valid for”.",
                "A policy of the vault allows keys that are valid for %(days)d days at most. Lower “Keep key valid for”.",
                self.maximum_days,
            ) % {"days": self.maximum_days}


def assignments_of(vault: KeyVault) -> list[PolicyAssignment]:
    """Return the policies on the vault's keys as they were last read; none while they are unknown."""
    return [PolicyAssignment(**row) for row in vault.policies or ()]


def rules_of(assignments: Iterable[PolicyAssignment]) -> KeyRules:
    """Return the rules of the assignments that refuse a version. The strictest of several counts."""
    found: dict[Rule, list[Any]] = {}
    for one in assignments:
        if one.denies:
            found.setdefault(Rule(one.rule), []).append(one.value)

    def numbers(rule: Rule) -> list[int]:
        return [value for value in found.get(rule, ()) if isinstance(value, int)]

    def common(rule: Rule) -> frozenset[str] | None:
        lists = [frozenset(value) for value in found.get(rule, ()) if isinstance(value, list)]
        return frozenset.intersection(*lists) if lists else None

    return KeyRules(
        needs_expiry=Rule.EXPIRY_NEEDED in found,
        minimum_days=max(numbers(Rule.MINIMUM_DAYS), default=None),
        maximum_days=min(numbers(Rule.MAXIMUM_DAYS), default=None),
        minimum_rsa_bits=max(numbers(Rule.MINIMUM_RSA_BITS), default=None),
        key_types=common(Rule.KEY_TYPES),
        curves=common(Rule.CURVES),
    )
