"""Azure Resource Manager: which vaults a credential can see. It needs a grant apart from the key permissions.

Reads only. A subscription that refuses is named; the others are listed all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest
from django.utils.translation import gettext as _

from cloudcreds.azure import clients
from cloudcreds.azure.addresses import is_allowed
from cloudcreds.azure.answers import AskedService, Stopped, UnknownAnswer
from cloudcreds.azure.clouds import endpoints_of
from cloudcreds.provider.types import CredentialAccess, VaultInfo, VaultListing
from kmes.core.known_secrets import mask

SUBSCRIPTIONS_API = "2022-12-01"
# From 2027-02-27 on, older versions are refused (docs/azure.md#resource-manager).
VAULTS_API = "2026-02-01"
MAX_PAGES = 100
# Codes of a subscription in which the resource provider for vaults is not registered: it holds no vault.
_NOT_REGISTERED = frozenset({"MissingSubscriptionRegistration", "SubscriptionNotRegistered"})


def list_vaults(access: CredentialAccess) -> VaultListing:
    """Return the vaults of all subscriptions the credential may see, by name, and what could not be read."""
    vaults: list[VaultInfo] = []
    unread: list[str] = []
    for row in _rows(access, f"/subscriptions?api-version={SUBSCRIPTIONS_API}"):
        subscription = str(row.get("subscriptionId", ""))
        path = (
            f"/subscriptions/{quote(subscription, safe='')}/providers/Microsoft.KeyVault/vaults"
            f"?api-version={VAULTS_API}"
        )
        name = str(row.get("displayName") or subscription)[:80]
        try:
            found = [_vault(each) for each in _rows(access, path)]
        except HttpResponseError as error:
            unread.append(_describe_refusal(name, error))
        except UnknownAnswer as error:
            if isinstance(error, Stopped):
                raise
            unread.append(_("Subscription %(name)s: %(why)s") % {"name": name, "why": error.what})
        else:
            vaults += [vault for vault in found if is_allowed(access, vault.url)]
            unread += [
                _("Vault %(name)s names an address that is not one of this cloud's vaults.") % {"name": vault.name[:80]}
                for vault in found
                if not is_allowed(access, vault.url)
            ]
    return VaultListing(sorted(vaults, key=lambda vault: vault.name.lower()), unread)


def _rows(access: CredentialAccess, path: str) -> Iterator[dict[str, Any]]:
    """Return the rows of a listing, page after page.

    Raises:
        HttpResponseError: Resource Manager refused.
        UnknownAnswer: the pages have no end.

    """
    client = clients.open_resource_manager(access)
    url: str | None = endpoints_of(access).arm + path
    for _page in range(MAX_PAGES):
        response = client.send_request(HttpRequest("GET", url or ""))
        response.raise_for_status()
        body = response.json()
        yield from (row for row in body.get("value", []) if isinstance(row, dict))
        url = body.get("nextLink")
        if not url:
            return
    raise UnknownAnswer(AskedService.RESOURCE_MANAGER, _("The listing has no end."))


def _describe_refusal(name: str, error: HttpResponseError) -> str:
    code = str(getattr(error.error, "code", "") or error.status_code)
    if code in _NOT_REGISTERED:
        why = _(
            "the resource provider Microsoft.KeyVault is not registered in it; register it if it should hold vaults"
        )
    elif error.status_code == 403:
        why = _("the app registration may not read it; grant it the role Reader")
    else:
        why = _("Resource Manager refused (%(code)s)") % {"code": mask(code)[:60]}
    return _("Subscription %(name)s: %(why)s.") % {"name": name, "why": why}


def _vault(row: dict[str, Any]) -> VaultInfo:
    properties = row.get("properties") or {}
    return VaultInfo(
        name=str(row.get("name", "")),
        url=str(properties.get("vaultUri") or "").rstrip("/"),
        tier=str((properties.get("sku") or {}).get("name") or ""),
        soft_delete=properties.get("enableSoftDelete") is not False,
        retention_days=properties.get("softDeleteRetentionInDays"),
        purge_protected=bool(properties.get("enablePurgeProtection")),
    )
