"""Which ephemeral key-encryption key a vault is asked for. Policies may refuse the usual one (docs/azure.md#azure-policy).

Asks no cloud and writes no row. The text of a refusal does not tell which policy refused, so the shapes are tried in
order, and ``cloudcreds.vaults`` remembers the one that the vault took.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.models import KeyVault

# The largest RSA key that a vault makes: no policy on sizes refuses it and allows a smaller one.
LARGEST_BITS = 4096
# Lives to try where the usual one is refused: above the usual minimum days, and below the usual maximum.
LONG_DAYS = (100, 35, 400)


@dataclass(frozen=True)
class KekShape:
    """An ephemeral key's size in bits, and its life in days; 0 days stands for the usual life of some hours."""

    bits: int
    days: int = 0

    @property
    def lifetime(self) -> timedelta:
        """Return after what time the key expires."""
        return timedelta(days=self.days) if self.days else timedelta(seconds=settings.KMES_KEK_LIFETIME_SECONDS)

    def __str__(self) -> str:
        if self.days:
            life = ngettext("%(count)d day", "%(count)d days", self.days) % {"count": self.days}
        else:
            hours = round(settings.KMES_KEK_LIFETIME_SECONDS / 3600) or 1
            life = ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}
        return _("RSA %(bits)d bits, valid for %(life)s") % {"bits": self.bits, "life": life}


def first_shape(vault: KeyVault, bits: int) -> KekShape:
    """Return the shape to ask for first: what the vault took last time, at least ``bits`` large."""
    return KekShape(max(bits, vault.kek_bits or 0), vault.kek_days or 0)


def further_shapes(refused: KekShape) -> list[KekShape]:
    """Return what to try in order after a refusal: the largest key, then the same with longer lives."""
    tries = [KekShape(LARGEST_BITS), *(KekShape(LARGEST_BITS, days) for days in LONG_DAYS)]
    return [shape for shape in tries if shape != refused]
