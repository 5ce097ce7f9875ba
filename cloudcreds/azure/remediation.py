"""What to do in Azure about a check of the connection test that failed: in the portal, and as commands.

Nothing here calls Azure.
"""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cloudcreds.azure.guide import network_commands, permissions, policy_command, role_command
from cloudcreds.provider.errors import CloudErrorKind as Kind
from cloudcreds.provider.guidance import Command, Remedy


def check_label(check: str) -> str:
    """Return the name of a check in the reader's language."""
    return str(_LABELS.get(check, check))


def remedy_for(check: str, kind: str, *, client_id: str, vault: str, otherwise: str) -> Remedy:
    """Return what to do about a failed check.

    Args:
        check: the name of the check.
        kind: the ``CloudErrorKind`` of its failure, "" for none.
        client_id: the credential's application, "" for the identity of the host itself.
        vault: the vault's name, "" when there is none.
        otherwise: the text of the remedy where the kind has none.

    """
    name, client_id = vault or "<vault>", client_id or "<client-id>"
    if kind == Kind.PERMISSION:
        is_reader = check == "Resource Manager"
        return _reader_remedy(client_id, name) if is_reader else _permission_remedy(client_id, name, check)
    make = _REMEDIES.get(kind)
    return make(name) if make else Remedy(_(otherwise))


def _permission_remedy(client: str, vault: str, permission: str) -> Remedy:
    is_needed = all(one.is_needed for one in permissions() if one.name == permission)
    text = (
        _("Give the application the key permission %(name)s. A new grant can take up to 15 minutes; then test again.")
        if is_needed
        else _("A push does without %(name)s. If it is wanted, give the application this key permission.")
    )
    return Remedy(
        text % {"name": permission},
        _(
            "Key vault > Access policies > the application > Key permissions: tick %(name)s > Save."
            " With RBAC: Access control (IAM) > Add role assignment > Key Vault Crypto Officer."
        )
        % {"name": permission},
        [policy_command(client, vault), role_command(client, vault)],
    )


def _reader_remedy(client: str, vault: str) -> Remedy:
    return Remedy(
        _("Give the application the role Reader on the vault or its resource group, or type the vault's address."),
        _("Key vault > Access control (IAM) > Add role assignment > Reader."),
        [role_command(client, vault, "Reader")],
    )


def _firewall_remedy(vault: str) -> Remedy:
    return Remedy(
        _("Let the cloud worker through the vault's firewall, then test again."),
        _("Key vault > Networking > Selected networks: add the worker's public address or virtual network > Apply."),
        network_commands(vault),
    )


def _tier_remedy(vault: str) -> Remedy:
    return Remedy(
        _("Choose a vault of the Premium tier, or raise the tier of this one, which changes what it costs."),
        _("Key vaults > Create > Pricing tier: Premium."),
        [
            Command(
                _("Raise the tier of this vault"),
                f"az keyvault update --name {vault} --set properties.sku.name=premium",
            )
        ],
    )


def _secret_remedy(_vault: str) -> Remedy:
    return Remedy(
        _("Make a new client secret, paste its Value here under Edit, and record its expiry."),
        _("Microsoft Entra ID > App registrations > the application > Certificates & secrets > New client secret."),
        [Command(_("Make a further secret"), "az ad app credential reset --id <client-id> --append --years 1")],
    )


def _certificate_remedy(_vault: str) -> Remedy:
    return Remedy(
        _("Register the certificate with the application: this page offers it for download and shows its thumbprint."),
        _("Microsoft Entra ID > App registrations > the application > Certificates & secrets > Certificates > Upload."),
        [
            Command(
                _("Register the downloaded certificate beside those that are there"),
                "az ad app credential reset --id <client-id> --append --cert @certificate.pem",
            )
        ],
    )


def _federation_remedy(_vault: str) -> Remedy:
    return Remedy(
        _("Compare issuer, subject and audience of the worker's token with the application's federated credential."),
        _("Microsoft Entra ID > App registrations > the application > Certificates & secrets > Federated credentials."),
        [Command(_("Show what the application trusts"), "az ad app federated-credential list --id <client-id>")],
    )


def _identity_remedy(_vault: str) -> Remedy:
    return Remedy(
        _("Assign the managed identity to the host of the cloud worker, or correct Client ID here under Edit."),
        _("Virtual machine or app > Security > Identity: switch on System assigned, or add one under User assigned."),
        [
            Command(
                _("Show the identities of a virtual machine"),
                "az vm identity show --resource-group <group> --name <machine>",
            )
        ],
    )


def _client_remedy(_vault: str) -> Remedy:
    return Remedy(
        _("Compare Client ID and Tenant ID with the application's Overview page, and correct them here under Edit."),
        _("Microsoft Entra ID > App registrations > the application > Overview."),
        [Command(_("Show the applications of the tenant you are signed in to"), "az ad app list --show-mine")],
    )


def _tenant_remedy(_vault: str) -> Remedy:
    return Remedy(
        _("Compare Tenant ID and Cloud with the directory the application is registered in, and correct them here."),
        _("Microsoft Entra ID > Overview > Tenant ID."),
        [Command(_("Show the tenant you are signed in to"), "az account show --query tenantId")],
    )


def _network_remedy(_vault: str) -> Remedy:
    return Remedy(
        _("Let the cloud worker reach the hosts listed below on port 443, and check proxy and name service."),
        "",
        [Command(_("Try it from the worker's host"), "curl -sS https://login.microsoftonline.com/ -o /dev/null")],
    )


# Checks that are not named after a permission. Azure's permissions have the same name in every language.
_LABELS = {
    "Token": gettext_lazy("Token"),
    "Resource Manager": gettext_lazy("Resource Manager"),
    "Network": gettext_lazy("Network"),
    "Clock": gettext_lazy("Clock"),
    "Tier": gettext_lazy("Tier"),
    "Soft-delete": gettext_lazy("Soft-delete"),
    "Purge protection": gettext_lazy("Purge protection"),
}
_REMEDIES: dict[str, Callable[[str], Remedy]] = {
    Kind.FIREWALL: _firewall_remedy,
    Kind.NO_HSM_KEYS: _tier_remedy,
    Kind.WRONG_SECRET: _secret_remedy,
    Kind.EXPIRED_SECRET: _secret_remedy,
    Kind.WRONG_CERTIFICATE: _certificate_remedy,
    Kind.FEDERATION_REFUSED: _federation_remedy,
    Kind.NO_MANAGED_IDENTITY: _identity_remedy,
    Kind.UNKNOWN_IDENTITY: _identity_remedy,
    Kind.WRONG_CLIENT: _client_remedy,
    Kind.WRONG_TENANT: _tenant_remedy,
    Kind.UNREACHABLE: _network_remedy,
}
