"""How Azure has to be set up for a credential: permissions with reasons, hosts, commands to copy.

Facts of the Key Vault documentation; nothing here asks Azure.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from cloudcreds.azure.types import ENDPOINTS, Cloud
from cloudcreds.choices import CloudName
from cloudcreds.models import CloudCredential


@dataclass(frozen=True)
class Guide:
    """What the page shows: (permission, why), hosts with port, and az commands."""

    permissions: list[tuple[str, str]]
    hosts: list[str]
    commands: list[tuple[str, str]]


def set_up_guide(credential: CloudCredential) -> Guide:
    """Return the guide for the credential's cloud, with its ids filled in."""
    return Guide(_permissions(), _hosts(credential), _commands(credential))


def _permissions() -> list[tuple[str, str]]:
    return [
        ("get", _("reads the KEK's public key and verifies what was imported")),
        ("list", _("finds versions that are there already, so that nothing is imported twice")),
        ("create", _("makes the ephemeral KEK a key is wrapped under")),
        ("import", _("brings the wrapped key into the vault")),
        ("update", _("disables and enables a version")),
        ("delete", _("removes the KEK after each push, and keys on request")),
        ("recover", _("brings a deleted key back")),
        ("purge", _("removes the KEK for good where the vault soft-deletes")),
        ("sign", _("optional: lets the self-certification prove a key by a signature")),
    ]


def _hosts(credential: CloudCredential) -> list[str]:
    if credential.cloud == CloudName.CUSTOM:
        return [credential.authority_url, credential.arm_url]
    endpoints = ENDPOINTS[Cloud(credential.cloud)]
    authority, arm = (url.removeprefix("https://") for url in (endpoints.authority, endpoints.arm))
    return [f"{authority}:443", f"{arm}:443", f"<vault>.{endpoints.vault_suffix}:443"]


def _commands(credential: CloudCredential) -> list[tuple[str, str]]:
    words = "get list create import update delete recover purge"
    return [
        (
            _("A vault with access policies: give the application its key permissions"),
            f"az keyvault set-policy --name <vault> --spn {credential.client_id} --key-permissions {words}",
        ),
        (
            _("A vault with Azure RBAC: give it the role instead"),
            (
                f'az role assignment create --assignee {credential.client_id} --role "Key Vault Crypto Officer" '
                "--scope <resource id of the vault>"
            ),
        ),
        (
            _("Let it find the vault by name: reading is enough"),
            (
                f"az role assignment create --assignee {credential.client_id} --role Reader "
                "--scope <resource id of the vault>"
            ),
        ),
        (
            _("A new Premium vault, the tier that takes HSM keys"),
            "az keyvault create --name <vault> --resource-group <group> --sku premium --enable-purge-protection",
        ),
    ]
