"""How Azure has to be set up for the console: steps, permissions with reasons, hosts, commands.

Facts stand in docs/azure.md; nothing here calls Azure.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.azure.clouds import ENDPOINTS
from cloudcreds.choices import CloudName
from cloudcreds.provider.guidance import Command, Guide, Permission, Purpose, Step
from cloudcreds.provider.types import CredentialColumns

POLICY_WORDS = "get list create import update delete recover purge sign getrotationpolicy setrotationpolicy"
ROLE = "Key Vault Crypto Officer"
# The clouds' names in the Azure CLI.
_CLI_CLOUDS = {CloudName.US_GOVERNMENT: "AzureUSGovernment", CloudName.CHINA: "AzureChinaCloud"}


def set_up_guide(credential: CredentialColumns | None = None, *, vault: str = "") -> Guide:
    """Return the guide, with the ids of the credential and the vault's name filled in where they are known."""
    client = (credential.client_id if credential else "") or "<client-id>"
    cloud = CloudName(credential.cloud) if credential else CloudName.PUBLIC
    name = vault or "<vault>"
    steps = [_register(cloud), _make_vault(name), _grant(client, name), _let_find(client, name), _open_network(name)]
    return Guide(steps, permissions(), hosts(credential), _purposes())


def permissions() -> list[Permission]:
    """Return the key permissions with their reasons, in the order of Azure's own list."""
    return [
        Permission("Get", _("reads the KEK's public key and verifies what was imported")),
        Permission("List", _("finds versions that are there already, so that nothing is imported twice")),
        Permission("Create", _("makes the ephemeral KEK that a key is wrapped under")),
        Permission("Import", _("brings the wrapped key into the vault")),
        Permission("Update", _("disables and enables a version")),
        Permission("Delete", _("removes the KEK after each push, and keys on request")),
        Permission("Recover", _("brings a deleted key back"), is_needed=False),
        Permission(
            "Purge",
            _(
                "removes the KEK for good where the vault soft-deletes without purge protection; without this permission"
                " the KEK is left to its expiry and the vault's retention"
            ),
            is_needed=False,
        ),
        Permission("Sign", _("lets the self-certification prove a pushed key by a signature"), is_needed=False),
        Permission(
            "Get Rotation Policy",
            _("shows whether Azure would replace a pushed key by one of its own"),
            is_needed=False,
        ),
        Permission("Set Rotation Policy", _("replaces such a rotation policy, on request"), is_needed=False),
    ]


def hosts(credential: CredentialColumns | None) -> list[tuple[str, str]]:
    """Return the hosts with port that the worker must reach, and what for."""
    if credential is not None and credential.cloud == CloudName.CUSTOM:
        return [
            (credential.authority_url, _("sign-in")),
            (credential.arm_url, _("list of vaults")),
        ]
    endpoints = ENDPOINTS[credential.cloud if credential else CloudName.PUBLIC]
    authority, arm = (url.removeprefix("https://") for url in (endpoints.authority, endpoints.arm))
    return [
        (f"{authority}:443", _("sign-in")),
        (f"{arm}:443", _("list of vaults")),
        (f"<vault>.{endpoints.vault_suffix}:443", _("keys; one host for each vault")),
    ]


# --- Steps -----------------------------------------------------------------------------------
def _register(cloud: CloudName) -> Step:
    commands = [
        Command(
            _("Make the app registration with a secret of one year; it prints tenant, appId and password"),
            "az ad sp create-for-rbac --name kmes-console --years 1",
        ),
        Command(
            _("Later: another secret, before the current one expires"),
            "az ad app credential reset --id <client-id> --append --years 1",
        ),
        Command(
            _("Or a certificate instead of a secret, as downloaded from the page of the credential"),
            "az ad app credential reset --id <client-id> --append --cert @certificate.pem",
        ),
        Command(
            _("Or neither: trust the token of the worker's platform, such as Kubernetes"),
            "az ad app federated-credential create --id <client-id> --parameters federated-credential.json",
        ),
    ]
    if cloud in _CLI_CLOUDS:
        commands.insert(0, Command(_("Choose the cloud first"), f"az cloud set --name {_CLI_CLOUDS[cloud]}"))
    return Step(
        "register",
        _("Register the console as an application"),
        _("The console signs in to Azure as this application and can do in your vaults only what the application may."),
        _(
            "Microsoft Entra ID > App registrations > New registration. Then Certificates & secrets > New client secret:"
            " copy the column Value at once, it is shown only now, and note its expiry. Better than a secret: upload the"
            " certificate that Make Certificate offers for download, whose key never leaves the HSM."
        ),
        commands,
    )


def _make_vault(vault: str) -> Step:
    return Step(
        "vault",
        _("Make a vault of the Premium tier"),
        _(
            "Only Premium vaults hold HSM keys. Soft-delete is always on in new vaults; decide on purge protection with"
            " care: it can't be switched off, a deleted key then stays until its retention ends, and some Azure"
            " services ask for it."
        ),
        _("Key vaults > Create > Pricing tier: Premium."),
        [
            Command(
                _("A Premium vault with Azure RBAC"),
                f"az keyvault create --name {vault} --resource-group <group> --location <region> --sku premium"
                " --enable-rbac-authorization true",
            ),
            Command(
                _("The same with access policies"),
                f"az keyvault create --name {vault} --resource-group <group> --location <region> --sku premium"
                " --enable-rbac-authorization false",
            ),
            Command(
                _("Purge protection, where a service asks for it; it can't be undone"),
                f"az keyvault update --name {vault} --enable-purge-protection true",
            ),
        ],
    )


def _grant(client: str, vault: str) -> Step:
    return Step(
        "permissions",
        _("Give the application its key permissions"),
        _(
            "A vault works either with access policies or with Azure RBAC (Settings > Access configuration)."
            " Key permissions are enough; the console touches no secret and no certificate. A new grant can take up to"
            " 15 minutes."
        ),
        _(
            "Access policies > Create: tick the key permissions below, choose the application as principal."
            " With RBAC: Access control (IAM) > Add role assignment > Key Vault Crypto Officer."
        ),
        [policy_command(client, vault), role_command(client, vault)],
    )


def policy_command(client: str, vault: str, words: str = POLICY_WORDS) -> Command:
    """Return the command that grants key permissions by access policy; it replaces the application's former ones."""
    text = f"az keyvault set-policy --name {vault} --spn {client} --key-permissions {words}"
    return Command(_("A vault with access policies: all key permissions the console uses"), text)


def role_command(client: str, vault: str, role: str = ROLE) -> Command:
    """Return the command that assigns a role on the vault."""
    scope = f"$(az keyvault show --name {vault} --query id --output tsv)"
    text = f'az role assignment create --assignee {client} --role "{role}" --scope "{scope}"'
    return Command(_("A vault with Azure RBAC: the role that holds them all"), text)


def _let_find(client: str, vault: str) -> Step:
    command = role_command(client, vault, "Reader")
    return Step(
        "reader",
        _("Let it find the vault (optional)"),
        _("With Reader on the vault or its resource group the console lists vaults; without, type a vault's address."),
        _("Access control (IAM) > Add role assignment > Reader."),
        [Command(_("Reading the vault's own properties; no key is visible with it"), command.text)],
    )


def _open_network(vault: str) -> Step:
    return Step(
        "network",
        _("Open the way"),
        _(
            "The cloud worker alone speaks to Azure, on port 443 of the hosts below. A vault with the public endpoint"
            " for selected networks must know the worker's address or subnet."
        ),
        _("Key vault > Networking > Selected networks: add the worker's public address or its virtual network."),
        network_commands(vault),
    )


def network_commands(vault: str) -> list[Command]:
    """Return the commands that let the worker through a vault's firewall."""
    return [
        Command(
            _("Allow the worker's public address"),
            f"az keyvault network-rule add --name {vault} --ip-address <worker-address>/32",
        ),
        Command(
            _("Or allow its subnet, which needs the service endpoint Microsoft.KeyVault"),
            f"az keyvault network-rule add --name {vault} --vnet-name <network> --subnet <subnet>",
        ),
    ]


def _purposes() -> list[Purpose]:
    """Return what services take of a key and its vault (docs/azure.md#what-uses-a-key)."""
    return [
        Purpose(
            _("SQL Server TDE (SQL Server, Azure SQL Database)"),
            _("RSA of 2048 or 3072 bits, usage Wrap and unwrap; a vault with soft-delete and purge protection."),
        ),
        Purpose(
            _("SQL Always Encrypted"),
            _("RSA as column master key, usages Wrap and unwrap, Sign and verify."),
        ),
        Purpose(
            _("Managed disks (disk encryption set)"),
            _("RSA, usage Wrap and unwrap; a vault with purge protection."),
        ),
        Purpose(
            _("Azure Storage, Azure App Service"),
            _("RSA, usage Wrap and unwrap; a vault with soft-delete and purge protection."),
        ),
        Purpose(_("MongoDB (Queryable Encryption, CSFLE)"), _("RSA, usage Wrap and unwrap.")),
        Purpose(_("Kafka (field encryption)"), _("RSA, usage Encrypt and decrypt.")),
        Purpose(
            _("Your own applications"),
            _("Any type: RSA to encrypt or wrap, EC (P-256, P-384, P-521, P-256K) to sign."),
        ),
    ]
