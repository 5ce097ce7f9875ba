"""The connection test: each permission tried by a call that leaves nothing behind.

Create makes a throw-away RSA-HSM key, which also tells the tier; Import sends a blob that can't be
valid, so that "refused as input" means "allowed"; Delete and Purge clear the throw-away key.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from cloudcreds.azure.errors import AzureError, AzureErrorKind
from cloudcreds.azure.types import KekPublicKey, ProbeResult, has_soft_delete, is_purge_protected
from kmes.core.clock import now

if TYPE_CHECKING:
    from cloudcreds.azure.gateway import AzureGateway

PROBE_BITS = 2048


def probe(gateway: AzureGateway, prefix: str, *, has_vault: bool) -> list[ProbeResult]:
    """Run the checks in order; after a failed sign-in nothing else is tried."""
    token = _try("Token", gateway.get_token, "signed in")
    if not token.ok:
        return [token]
    vaults = _try("Resource Manager", gateway.list_vaults, "vaults can be listed", needed=False)
    if not has_vault:
        return [token, vaults]
    return [token, vaults, *_probe_vault(gateway, f"{prefix}-{secrets.token_hex(6)}")]


def _probe_vault(gateway: AzureGateway, name: str) -> list[ProbeResult]:
    results = [
        _try("List", lambda: gateway.list_key_names("kmes-probe"), "keys can be listed"),
        _try("Get", lambda: gateway.get_key(name), "keys can be read"),
    ]
    made: list[KekPublicKey] = []

    def create() -> None:
        made.append(
            gateway.create_kek(name, PROBE_BITS, expires_on=now() + timedelta(minutes=10), tags={"kmes-app": "probe"})
        )

    results += [
        _try("Create", create, "ephemeral keys can be made; the vault is of the Premium tier"),
        _try("Import", lambda: gateway.import_nonsense(f"{name}-i"), "keys can be imported", allowed_by_refusal=True),
    ]
    if not made:
        return [*results, _not_tried("Delete"), _not_tried("Purge")]
    level = made[0].recovery_level
    results.append(_try("Delete", lambda: gateway.delete_key(name), "keys can be deleted"))
    results.append(_purge(gateway, name, level))
    results.append(ProbeResult("Recovery", ok=True, text=_recovery_text(level, made[0].recoverable_days)))
    return results


def _purge(gateway: AzureGateway, name: str, level: str) -> ProbeResult:
    if not has_soft_delete(level):
        return ProbeResult("Purge", ok=None, text="not needed: the vault has no soft-delete")
    if is_purge_protected(level):
        return ProbeResult("Purge", ok=None, text="not possible: the vault has purge protection")

    def purge() -> None:
        try:
            gateway.purge_key(name)
        except AzureError as error:
            # Azure still settles the deletion: the permission was checked before that.
            if error.kind not in {AzureErrorKind.BEING_DELETED, AzureErrorKind.NOT_FOUND}:
                raise

    return _try("Purge", purge, "deleted keys can be purged")


def _recovery_text(level: str, days: int | None) -> str:
    if not has_soft_delete(level):
        return "soft-delete is off: a deletion is final"
    protection = "on" if is_purge_protected(level) else "off"
    return f"soft-delete keeps deleted keys {days or 90} days; purge protection is {protection}"


def _not_tried(name: str) -> ProbeResult:
    return ProbeResult(name, ok=None, text="not tried: no probe key could be made")


def _try(
    name: str, call: Callable[[], object], good: str, *, needed: bool = True, allowed_by_refusal: bool = False
) -> ProbeResult:
    begun = time.monotonic()
    ok: bool | None = True
    text, remedy = good, ""
    try:
        call()
    except AzureError as error:
        if not (allowed_by_refusal and error.kind == AzureErrorKind.REFUSED_INPUT):
            # What only makes the console more comfortable does not fail the test.
            ok, text, remedy = (False if needed else None), error.what, error.remedy
    return ProbeResult(name, ok, text, remedy, round((time.monotonic() - begun) * 1000))
