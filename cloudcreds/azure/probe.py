"""The connection test: tries each permission by a call that leaves nothing behind, one result at a time.

Azure checks the permission before it looks for the key (docs/azure.md#permissions), so a call about a
missing key tells "forbidden" from "not found". Create makes a temporary RSA-HSM key, which also shows
tier, recovery level and the vault's clock. Import sends an invalid blob: "refused as input" proves the permission. Delete
and Purge remove the temporary key.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.kek_shapes import LARGEST_BITS, LONG_DAYS
from cloudcreds.provider import clocks
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.recovery import has_soft_delete, is_purge_protected
from cloudcreds.provider.types import KekPublicKey, ProbeResult
from hsm.types import KeySpec
from kmes.core.clock import now

# The temporary key in bits and life: the least, then what a policy on sizes or on lives takes (docs/push.md).
PROBE_KEYS = (
    (2048, timedelta(minutes=10)),
    *((LARGEST_BITS, timedelta(days=days)) for days in LONG_DAYS),
)
NO_VERSION = "0" * 32
# Answers that prove the permission: Azure gives them only after it was checked.
PERMISSION_PROVEN = (CloudErrorKind.NOT_FOUND, CloudErrorKind.BEING_DELETED, CloudErrorKind.REFUSED_INPUT)
# Refusals that only the vault itself gives, in its own format: network and firewall let the call pass.
ANSWERS_OF_VAULT = frozenset(
    {
        CloudErrorKind.PERMISSION,
        CloudErrorKind.NOT_FOUND,
        CloudErrorKind.REFUSED_INPUT,
        CloudErrorKind.REFUSED_OTHERWISE,
        CloudErrorKind.OPERATION_FORBIDDEN,
        CloudErrorKind.THROTTLED,
        CloudErrorKind.CONFLICT,
    }
)
# The sign-in was refused, by Entra or by the vault: that says nothing of the network.
SIGN_IN_REFUSALS = frozenset(
    {
        CloudErrorKind.AUTHENTICATION,
        CloudErrorKind.TOKEN_REFUSED,
        CloudErrorKind.UNKNOWN_IDENTITY,
        CloudErrorKind.WRONG_TENANT,
        CloudErrorKind.WRONG_CLIENT,
        CloudErrorKind.WRONG_SECRET,
        CloudErrorKind.EXPIRED_SECRET,
        CloudErrorKind.SIGN_IN_UNAVAILABLE,
        CloudErrorKind.CLOCK_DIFFERS,
    }
)
# Rights that are withheld on purpose in many vaults; a test does not fail without them.
OPTIONAL = frozenset({"Recover", "Purge", "Sign"})
WITHHELD = frozenset({CloudErrorKind.PERMISSION, CloudErrorKind.REFUSED_OTHERWISE})
VAULT_CHECKS = ("List", "Get", "Create", "Import", "Update", "Delete", "Recover", "Purge", "Sign")


def probe(
    gateway: VaultGateway, prefix: str, *, has_vault: bool, tenant: Callable[[], tuple[str, str]]
) -> Iterator[ProbeResult]:
    """Run the checks in order, with a new sign-in; a failed one ends the test.

    ``tenant`` returns how the credential names its tenant, and the tenant's id, once the sign-in has succeeded.
    """
    # A right granted since the last sign-in acts in a new token only.
    gateway.forget_sign_in()
    token = _try("Token", gateway.get_token, _("signed in"))
    if not token.ok:
        yield token
        return
    typed, tenant_id = tenant()
    if typed.lower() != tenant_id:
        text = _("signed in; the tenant %(domain)s has the ID %(id)s") % {"domain": typed, "id": tenant_id}
        token = replace(token, text=text, facts={"tenant_id": tenant_id})
    yield token
    yield _try("Resource Manager", gateway.list_vaults, _("vaults can be listed"))
    if has_vault:
        yield from _probe_vault(gateway, f"{prefix}-{secrets.token_hex(6)}")


def _probe_vault(gateway: VaultGateway, name: str) -> Iterator[ProbeResult]:
    listing = _try("List", lambda: gateway.list_key_names("kmes-probe"), _("keys can be listed"))
    network = _network(listing)
    yield network
    if not network.ok:
        rest: tuple[str, ...] = VAULT_CHECKS
        if listing.kind in SIGN_IN_REFUSALS:
            yield listing
            rest = VAULT_CHECKS[1:]
        yield from (_not_tried(check) for check in rest)
        return
    yield listing
    yield _try("Get", lambda: gateway.get_key(name), _("keys can be read"))
    made: list[KekPublicKey] = []

    created = _try("Create", lambda: made.append(_make_key(gateway, name)), _("ephemeral keys can be made"))
    yield created
    with gateway.expecting(*PERMISSION_PROVEN):
        yield from _probe_changes(gateway, name, made[0] if made else None)
    yield _clock(gateway)
    yield from _facts(created, made[0] if made else None)


def _make_key(gateway: VaultGateway, name: str) -> KekPublicKey:
    """Make the temporary key; where the vault refuses the least one for a reason it does not name, a larger one."""

    def make(bits: int, life: timedelta) -> KekPublicKey:
        return gateway.create_kek(name, bits, expires_on=now() + life, tags={"kmes-app": "probe"})

    for bits, life in PROBE_KEYS[:-1]:
        try:
            with gateway.expecting(CloudErrorKind.REFUSED_OTHERWISE):
                return make(bits, life)
        except CloudError as error:
            if error.kind != CloudErrorKind.REFUSED_OTHERWISE:
                raise
    return make(*PROBE_KEYS[-1])


def _probe_changes(gateway: VaultGateway, name: str, key: KekPublicKey | None) -> Iterator[ProbeResult]:
    """Try what changes a key: on the temporary key, or on an unused name where none could be made."""
    version = key.version if key else NO_VERSION
    yield _try("Import", lambda: import_invalid_blob(gateway, f"{name}-i"), _("keys can be imported"))
    yield _try(
        "Update",
        lambda: gateway.update_version(name, version, enabled=False),
        _("versions can be disabled and enabled"),
    )
    yield _try("Delete", lambda: gateway.delete_key(name), _("keys can be deleted"))
    with gateway.expecting(*PERMISSION_PROVEN, *WITHHELD):
        yield from _probe_optional(gateway, name, key)


def _probe_optional(gateway: VaultGateway, name: str, key: KekPublicKey | None) -> Iterator[ProbeResult]:
    """Try what a push does without; its refusal is no error in the log."""
    level = key.recovery_level if key else ""
    yield _try("Recover", lambda: gateway.recover_key(f"{name}-r"), _("deleted keys can be recovered"))
    if key is not None and not has_soft_delete(level):
        yield ProbeResult("Purge", ok=None, text=_("not needed: the vault has no soft-delete"), at=_stamp())
    elif is_purge_protected(level):
        yield ProbeResult("Purge", ok=None, text=_("not possible: the vault has purge protection"), at=_stamp())
    else:
        purge = _try("Purge", lambda: gateway.purge_key(name), _("deleted keys can be purged"))
        if purge.kind == CloudErrorKind.PERMISSION:
            text = _(
                "not granted: an ephemeral key is left to its expiry, and to the vault's retention once it is deleted"
            )
            purge = replace(purge, text=text)
        yield purge
    yield _try(
        "Sign",
        lambda: gateway.sign(f"{name}-s", NO_VERSION, spec=KeySpec.P_256, message=b"probe"),
        _("keys can sign, which the self-certification asks for"),
    )


def import_invalid_blob(gateway: VaultGateway, name: str) -> None:
    """Import a blob that can't be valid: refused as input when importing is permitted, else as forbidden."""
    gateway.import_key(
        name, spec=KeySpec.RSA_2048, blob=b"{}", key_ops=["sign"], enabled=False, expires_on=None, tags={}
    )


def _network(first: ProbeResult) -> ProbeResult:
    """Return from the first call to the vault whether network and firewall let it pass.

    Only an answer of the vault itself shows that; a proxy's page, or a call that never left, does not.
    """
    if first.ok or first.kind in ANSWERS_OF_VAULT:
        return ProbeResult("Network", True, _("the vault answers this worker"), "", first.duration_ms, "", first.at)
    if first.kind in SIGN_IN_REFUSALS:
        return ProbeResult("Network", None, _("not known: without a sign-in the vault can't be asked"), at=first.at)
    return ProbeResult("Network", False, first.text, first.remedy, first.duration_ms, first.kind, first.at)


def _clock(gateway: VaultGateway) -> ProbeResult:
    """Compare this machine's clock with the vault's, which the answers so far have shown."""
    difference = gateway.clock_difference()
    if difference is None:
        return ProbeResult("Clock", None, _("not compared: the answers don't show the vault's clock for certain"))
    if clocks.is_too_large(difference):
        text = clocks.describe(difference, clocks.the_vaults())
        kind = CloudErrorKind.CLOCK_DIFFERS
        return ProbeResult("Clock", False, text, clocks.remedy(), kind=kind, at=_stamp())
    return ProbeResult("Clock", True, _("this machine's clock and the vault's agree"), at=_stamp())


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


def _try(name: str, call: Callable[[], object], good: str) -> ProbeResult:
    begun, at = time.monotonic(), _stamp()
    ok: bool | None = True
    text, remedy, kind = good, "", ""
    try:
        call()
    except CloudError as error:
        if error.kind == CloudErrorKind.STOPPED:
            # The test is to stop, or begins anew when its turn comes.
            raise
        if error.kind == CloudErrorKind.PURGE_PROTECTED:
            ok, text = None, _("not possible: the vault has purge protection")
        elif name in {"Token", "Resource Manager", "List", "Create"} or error.kind not in PERMISSION_PROVEN:
            # An optional right that is withheld does not fail the test; a call without an answer does.
            is_optional = name == "Resource Manager" or (name in OPTIONAL and error.kind in WITHHELD)
            ok, text, remedy, kind = (None if is_optional else False), error.what, error.remedy, str(error.kind)
    return ProbeResult(name, ok, text, remedy, round((time.monotonic() - begun) * 1000), kind, at)
