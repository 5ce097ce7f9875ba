"""The connection test: tries each permission by a call that leaves nothing behind, one result at a time.

Azure checks the permission before it looks for the key (docs/azure.md#permissions), so a call about a
missing key tells "forbidden" from "not found". Create makes a temporary RSA-HSM key, which also shows
tier and recovery level. Import sends an invalid blob: "refused as input" proves the permission. Delete
and Purge remove the temporary key.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.recovery import has_soft_delete, is_purge_protected
from cloudcreds.provider.types import KekPublicKey, ProbeResult
from hsm.types import KeySpec
from kmes.core.clock import now

PROBE_BITS = 2048
NO_VERSION = "0" * 32
# Answers that prove the permission: Azure gives them only after it was checked.
PERMISSION_PROVEN = (CloudErrorKind.NOT_FOUND, CloudErrorKind.BEING_DELETED, CloudErrorKind.REFUSED_INPUT)
UNREACHABLE_KINDS = frozenset({CloudErrorKind.FIREWALL, CloudErrorKind.UNREACHABLE, CloudErrorKind.REDIRECT_REFUSED})
VAULT_CHECKS = ("List", "Get", "Create", "Import", "Update", "Delete", "Recover", "Purge", "Sign")


def probe(gateway: VaultGateway, prefix: str, *, has_vault: bool) -> Iterator[ProbeResult]:
    """Run the checks in order; a failed sign-in ends the test."""
    token = _try("Token", gateway.get_token, _("signed in"))
    yield token
    if not token.ok:
        return
    yield _try("Resource Manager", gateway.list_vaults, _("vaults can be listed"), needed=False)
    if has_vault:
        yield from _probe_vault(gateway, f"{prefix}-{secrets.token_hex(6)}")


def _probe_vault(gateway: VaultGateway, name: str) -> Iterator[ProbeResult]:
    listing = _try("List", lambda: gateway.list_key_names("kmes-probe"), _("keys can be listed"))
    yield _network(listing)
    if listing.kind in UNREACHABLE_KINDS:
        yield from (_not_tried(check) for check in VAULT_CHECKS)
        return
    yield listing
    yield _try("Get", lambda: gateway.get_key(name), _("keys can be read"))
    made: list[KekPublicKey] = []

    def create() -> None:
        expires_on = now() + timedelta(minutes=10)
        made.append(gateway.create_kek(name, PROBE_BITS, expires_on=expires_on, tags={"kmes-app": "probe"}))

    created = _try("Create", create, _("ephemeral keys can be made"))
    yield created
    with gateway.expecting(*PERMISSION_PROVEN):
        yield from _probe_changes(gateway, name, made[0] if made else None)
    yield from _facts(created, made[0] if made else None)


def _probe_changes(gateway: VaultGateway, name: str, key: KekPublicKey | None) -> Iterator[ProbeResult]:
    """Try what changes a key: on the temporary key, or on an unused name where none could be made."""
    level = key.recovery_level if key else ""
    version = key.version if key else NO_VERSION
    yield _try("Import", lambda: import_invalid_blob(gateway, f"{name}-i"), _("keys can be imported"))
    yield _try(
        "Update",
        lambda: gateway.update_version(name, version, enabled=False),
        _("versions can be disabled and enabled"),
    )
    yield _try("Delete", lambda: gateway.delete_key(name), _("keys can be deleted"))
    yield _try("Recover", lambda: gateway.recover_key(f"{name}-r"), _("deleted keys can be recovered"), needed=False)
    if key is not None and not has_soft_delete(level):
        yield ProbeResult("Purge", ok=None, text=_("not needed: the vault has no soft-delete"), at=_stamp())
    elif is_purge_protected(level):
        yield ProbeResult("Purge", ok=None, text=_("not possible: the vault has purge protection"), at=_stamp())
    else:
        yield _try("Purge", lambda: gateway.purge_key(name), _("deleted keys can be purged"))
    yield _try(
        "Sign",
        lambda: gateway.sign(f"{name}-s", NO_VERSION, spec=KeySpec.P_256, message=b"probe"),
        _("keys can sign, which the self-certification asks for"),
        needed=False,
    )


def import_invalid_blob(gateway: VaultGateway, name: str) -> None:
    """Import a blob that can't be valid: refused as input when importing is permitted, else as forbidden."""
    gateway.import_key(
        name, spec=KeySpec.RSA_2048, blob=b"{}", key_ops=["sign"], enabled=False, expires_on=None, tags={}
    )


def _network(first: ProbeResult) -> ProbeResult:
    """Return from the first call to the vault whether network and firewall let it pass."""
    if first.kind in UNREACHABLE_KINDS:
        return ProbeResult("Network", False, first.text, first.remedy, first.duration_ms, first.kind, first.at)
    return ProbeResult("Network", True, _("the vault answers this worker"), "", first.duration_ms, "", first.at)


def _facts(created: ProbeResult, key: KekPublicKey | None) -> Iterator[ProbeResult]:
    """Return what the creation of a key showed of the vault."""
    if created.kind == CloudErrorKind.NO_HSM_KEYS:
        text, tier = _("Standard: it holds no HSM keys"), {"tier": "standard"}
        yield ProbeResult("Tier", False, text, created.remedy, kind=created.kind, at=created.at, facts=tier)
        return
    if key is None:
        yield from (_not_tried(name) for name in ("Tier", "Soft-delete", "Purge protection"))
        return
    level, days = key.recovery_level, key.recoverable_days
    yield ProbeResult("Tier", True, _("Premium: it holds HSM keys"), at=created.at, facts={"tier": "premium"})
    soft = _kept_for(days or 90) if has_soft_delete(level) else _("off: a deletion is final")
    facts: dict[str, str | int | None] = {"recovery_level": level, "recoverable_days": days}
    yield ProbeResult("Soft-delete", True, soft, at=created.at, facts=facts)
    protection = (
        _("on: nobody can purge before the retention ends, so a deleted name stays taken until then")
        if is_purge_protected(level)
        else _("off: deleted keys can be purged; some Azure services ask for it to be on")
    )
    yield ProbeResult("Purge protection", True, protection, at=created.at)


def _kept_for(days: int) -> str:
    text = ngettext("on: deleted keys are kept %(count)d day", "on: deleted keys are kept %(count)d days", days)
    return text % {"count": days}


def _not_tried(name: str) -> ProbeResult:
    return ProbeResult(name, ok=None, text=_("not tried, because of what failed above"))


def _stamp() -> str:
    return now().isoformat(timespec="seconds")


def _try(name: str, call: Callable[[], object], good: str, *, needed: bool = True) -> ProbeResult:
    begun, at = time.monotonic(), _stamp()
    ok: bool | None = True
    text, remedy, kind = good, "", ""
    try:
        call()
    except CloudError as error:
        if error.kind == CloudErrorKind.PURGE_PROTECTED:
            ok, text = None, _("not possible: the vault has purge protection")
        elif name in {"Token", "Resource Manager", "List", "Create"} or error.kind not in PERMISSION_PROVEN:
            # A missing optional permission does not fail the test.
            ok, text, remedy, kind = (False if needed else None), error.what, error.remedy, str(error.kind)
    return ProbeResult(name, ok, text, remedy, round((time.monotonic() - begun) * 1000), kind, at)
