"""Azure Resource Manager: which vaults a credential can see. It needs a grant apart from the key permissions."""

from __future__ import annotations

from typing import Any

from azure.core.rest import HttpRequest

from cloudcreds.azure import clients
from cloudcreds.azure.clouds import endpoints_of
from cloudcreds.provider.types import CredentialAccess, VaultInfo

SUBSCRIPTIONS_API = "2022-12-01"


def list_subscriptions(access: CredentialAccess) -> list[str]:
    """Return the ids of the subscriptions the credential may see."""
    # The client's own subscription plays no part in this address.
    client = clients.open_arm_client(access, "00000000-0000-0000-0000-000000000000")
    arm = endpoints_of(access).arm
    url: str | None = f"{arm}/subscriptions?api-version={SUBSCRIPTIONS_API}"
    found: list[str] = []
    while url:
        response = client.send_request(HttpRequest("GET", url))
        response.raise_for_status()
        body = response.json()
        found += [row["subscriptionId"] for row in body.get("value", [])]
        url = body.get("nextLink")
        if url and not url.startswith(arm):
            break
    return found


def list_vaults(access: CredentialAccess) -> list[VaultInfo]:
    """Return the vaults of all subscriptions the credential may see, by name."""
    found = []
    for subscription in list_subscriptions(access):
        client = clients.open_arm_client(access, subscription)
        found += [_vault(row) for row in client.vaults.list_by_subscription()]
    return sorted(found, key=lambda vault: vault.name.lower())


def _vault(row: Any) -> VaultInfo:
    properties = row.properties
    tier = getattr(properties.sku, "name", "")
    return VaultInfo(
        name=row.name,
        url=(properties.vault_uri or "").rstrip("/"),
        tier=str(getattr(tier, "value", tier) or ""),
        soft_delete=properties.enable_soft_delete is not False,
        retention_days=properties.soft_delete_retention_in_days,
        purge_protected=bool(properties.enable_purge_protection),
    )
