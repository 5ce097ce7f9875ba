"""Azure's clouds: where each has its services (docs/azure.md#sign-in)."""

from __future__ import annotations

from dataclasses import dataclass

from cloudcreds.choices import CloudName
from cloudcreds.provider.types import CredentialAccess


@dataclass(frozen=True)
class Endpoints:
    """Where a cloud's services are."""

    authority: str
    arm: str
    vault_suffix: str
    vault_scope: str
    arm_scope: str


ENDPOINTS: dict[str, Endpoints] = {
    CloudName.PUBLIC: Endpoints(
        "https://login.microsoftonline.com",
        "https://management.azure.com",
        "vault.azure.net",
        "https://vault.azure.net/.default",
        "https://management.azure.com/.default",
    ),
    CloudName.US_GOVERNMENT: Endpoints(
        "https://login.microsoftonline.us",
        "https://management.usgovcloudapi.net",
        "vault.usgovcloudapi.net",
        "https://vault.usgovcloudapi.net/.default",
        "https://management.usgovcloudapi.net/.default",
    ),
    CloudName.CHINA: Endpoints(
        "https://login.chinacloudapi.cn",
        "https://management.chinacloudapi.cn",
        "vault.azure.cn",
        "https://vault.azure.cn/.default",
        "https://management.chinacloudapi.cn/.default",
    ),
}


def endpoints_of(access: CredentialAccess) -> Endpoints:
    """Return the endpoints of a credential's cloud; custom ones keep the scopes of Azure public."""
    if access.cloud != CloudName.CUSTOM:
        return ENDPOINTS[access.cloud]
    public = ENDPOINTS[CloudName.PUBLIC]
    return Endpoints(access.authority_url, access.arm_url, "", public.vault_scope, public.arm_scope)
