"""How each vault stands, in one line: its groups, what is late or differs, its protection, whether it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.translation import gettext as _

from cloudcreds.choices import VaultTier
from cloudcreds.models import KeyVault, VaultCircuit
from keygroups.choices import GroupCloudState
from keygroups.models import KeyGroup
from keygroups.rotation_standing import is_late

_COUNTED = ("groups", "live", "late", "differing")


@dataclass(frozen=True)
class VaultPosture:
    """One vault. ``word`` and ``colour`` say how it stands."""

    vault: KeyVault
    groups: int
    live: int
    late: int
    differing: int
    circuit: VaultCircuit | None

    @property
    def url(self) -> str:
        """Return the keys of this vault."""
        return f"{reverse('keygroups:keys')}?{urlencode({'view': 'vault', 'vault': self.vault.pk})}"

    @property
    def paused_until(self) -> datetime | None:
        """Return until when no job starts, because the vault does not answer."""
        return self.circuit.retry_at if self.circuit else None

    @property
    def state(self) -> tuple[str, str]:
        """Return the word for how the vault stands, and its color."""
        if self.paused_until:
            return _("Does not answer"), "bad"
        if self.vault.last_test_ok is False:
            return _("Test failed"), "bad"
        if self.late or self.differing:
            return _("Needs attention"), "warning"
        if self.vault.seen_at is None:
            return _("Not reached yet"), "neutral"
        if self.vault.tier == VaultTier.STANDARD:
            return _("Holds no HSM keys"), "neutral"
        return _("OK"), "good"

    @property
    def protection(self) -> str:
        """Return what a deletion in this vault means."""
        if self.vault.has_soft_delete is None:
            return _("Not known yet")
        if not self.vault.has_soft_delete:
            return _("No soft-delete")
        return _("Purge protection") if self.vault.is_purge_protected else _("Soft-delete")


def read_postures() -> list[VaultPosture]:
    """Return each vault in use, those that need attention first. Two queries."""
    counts = _count_groups()
    vaults = KeyVault.objects.select_related("credential", "circuit").defer("credential__sealed_secret")
    found = [
        VaultPosture(vault, **counts.get(vault.pk, dict.fromkeys(_COUNTED, 0)), circuit=_circuit(vault))
        for vault in vaults.order_by("name", "credential__name")
    ]
    order = {"bad": 0, "warning": 1, "neutral": 2, "good": 3}
    return sorted(found, key=lambda each: order[each.state[1]])


def _count_groups() -> dict[UUID, dict[str, Any]]:
    rows: Any = (
        KeyGroup.objects.annotate(late_now=is_late())
        .order_by()
        .values("vault_id")
        .annotate(
            groups=Count("pk"),
            live=Count("pk", filter=Q(cloud_state=GroupCloudState.LIVE)),
            late=Count("pk", filter=Q(late_now=True)),
            differing=Count("pk", filter=Q(differences__gt=0)),
        )
    )
    return {row["vault_id"]: {name: row[name] for name in _COUNTED} for row in rows}


def _circuit(vault: KeyVault) -> VaultCircuit | None:
    return getattr(vault, "circuit", None)
