"""What to do in Azure about a check of the connection test that failed: the way in the portal, and commands.

Nothing here asks Azure, and nothing is stored: the cure is found when the page is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cloudcreds.guide import Command, network_commands, permissions, policy_command, role_command
from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.provider.errors import CloudErrorKind as Kind


@dataclass(frozen=True)
class Cure:
    """What to do: in words, where in the portal, and as commands; those shown above already come folded."""

    text: str
    portal: str = ""
    commands: list[Command] = field(default_factory=list)
    is_repeat: bool = False


@dataclass(frozen=True)
class Check:
    """One line of a test as the page shows it; ``word`` and ``colour`` are those of its badge."""

    name: str
    word: str
    colour: str
    text: str
    reason: str
    at: datetime | None
    duration_ms: int
    cure: Cure | None = None


def checks_of(credential: CloudCredential, vault: KeyVault | None, results: list[dict[str, Any]]) -> list[Check]:
    """Return the lines of a test, each failed one with its cure for this credential and vault."""
    reasons = {one.name: one.reason for one in permissions()}
    checks, shown = [], set()
    for result in results:
        check = _check(credential, vault, result, reasons.get(result["name"], ""))
        commands = tuple(check.cure.commands) if check.cure else ()
        if check.cure and commands in shown:
            check = replace(check, cure=replace(check.cure, is_repeat=True))
        shown.add(commands)
        checks.append(check)
    return checks


def _check(credential: CloudCredential, vault: KeyVault | None, result: dict[str, Any], reason: str) -> Check:
    kind = str(result.get("kind", ""))
    at = result.get("at")
    cure = _cure(kind, credential, vault, result) if kind or result["ok"] is False else None
    word, colour = _badge(ok=result["ok"], kind=kind)
    return Check(
        str(_NAMES.get(result["name"], result["name"])),
        word,
        colour,
        # Kept as it was found, in English; what is a whole sentence of ours has its translation.
        _(result["text"]),
        reason,
        datetime.fromisoformat(at) if at else None,
        result.get("duration_ms", 0),
        cure,
    )


def _badge(*, ok: bool | None, kind: str) -> tuple[str, str]:
    if ok:
        return _("passed"), "good"
    if ok is False:
        return _("failed"), "bad"
    return (_("missing, optional"), "warning") if kind else (_("does not apply"), "neutral")


def _cure(kind: str, credential: CloudCredential, vault: KeyVault | None, result: dict[str, Any]) -> Cure:
    name = vault.name if vault else "<vault>"
    if kind == Kind.PERMISSION:
        return _permission_cure(credential.client_id, name, result["name"])
    if result["name"] == "Resource Manager":
        return _reader_cure(credential.client_id, name)
    make = _CURES.get(kind)
    return make(name) if make else Cure(_(result.get("remedy", "")))


def _permission_cure(client: str, vault: str, permission: str) -> Cure:
    return Cure(
        _("Give the application the key permission %(name)s. A new grant can take some minutes; then test again.")
        % {"name": permission},
        _(
            "Key vault > Access policies > the application > Key permissions: tick %(name)s > Save."
            " With RBAC: Access control (IAM) > Add role assignment > Key Vault Crypto Officer."
        )
        % {"name": permission},
        [policy_command(client, vault), role_command(client, vault)],
    )


def _reader_cure(client: str, vault: str) -> Cure:
    return Cure(
        _("Give the application the role Reader on the vault or its resource group, or type the vault's address."),
        _("Key vault > Access control (IAM) > Add role assignment > Reader."),
        [role_command(client, vault, "Reader")],
    )


def _firewall_cure(vault: str) -> Cure:
    return Cure(
        _("Let the cloud worker through the vault's firewall, then test again."),
        _("Key vault > Networking > Selected networks: add the worker's public address or virtual network > Apply."),
        network_commands(vault),
    )


def _tier_cure(vault: str) -> Cure:
    return Cure(
        _("Choose a vault of the Premium tier, or raise the tier of this one, which changes what it costs."),
        _("Key vaults > Create > Pricing tier: Premium."),
        [
            Command(
                _("Raise the tier of this vault"),
                f"az keyvault update --name {vault} --set properties.sku.name=premium",
            )
        ],
    )


def _secret_cure(_vault: str) -> Cure:
    return Cure(
        _("Make a new client secret, paste its Value here under Edit, and record its expiry."),
        _("Microsoft Entra ID > App registrations > the application > Certificates & secrets > New client secret."),
        [Command(_("Make a further secret"), "az ad app credential reset --id <client-id> --append --years 1")],
    )


def _client_cure(_vault: str) -> Cure:
    return Cure(
        _("Compare Client ID and Tenant ID with the application's Overview page, and correct them here under Edit."),
        _("Microsoft Entra ID > App registrations > the application > Overview."),
        [Command(_("Show the applications of the tenant you are signed in to"), "az ad app list --show-mine")],
    )


def _tenant_cure(_vault: str) -> Cure:
    return Cure(
        _("Compare Tenant ID and Cloud with the directory the application is registered in, and correct them here."),
        _("Microsoft Entra ID > Overview > Tenant ID."),
        [Command(_("Show the tenant you are signed in to"), "az account show --query tenantId")],
    )


def _network_cure(_vault: str) -> Cure:
    return Cure(
        _("Let the cloud worker reach the hosts listed below on port 443, and check proxy and name service."),
        "",
        [Command(_("Try it from the worker's host"), "curl -sS https://login.microsoftonline.com/ -o /dev/null")],
    )


# The checks that are not named after one of Azure's permissions, whose names are the same in every language.
_NAMES = {
    "Token": gettext_lazy("Token"),
    "Resource Manager": gettext_lazy("Resource Manager"),
    "Network": gettext_lazy("Network"),
    "Tier": gettext_lazy("Tier"),
    "Soft-delete": gettext_lazy("Soft-delete"),
    "Purge protection": gettext_lazy("Purge protection"),
}
_CURES: dict[str, Callable[[str], Cure]] = {
    Kind.FIREWALL: _firewall_cure,
    Kind.NO_HSM_KEYS: _tier_cure,
    Kind.WRONG_SECRET: _secret_cure,
    Kind.EXPIRED_SECRET: _secret_cure,
    Kind.WRONG_CLIENT: _client_cure,
    Kind.WRONG_TENANT: _tenant_cure,
    Kind.UNREACHABLE: _network_cure,
}
