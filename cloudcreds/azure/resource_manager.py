"""Azure Resource Manager: which vaults a credential can see, and how they are set up.

It needs a grant apart from the key permissions. Reads only. A subscription that refuses is named; the others are
listed all the same. Policies that may not be read are no error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.rest import HttpRequest
from django.utils.translation import gettext as _

from cloudcreds.azure import clients, policy_assignments
from cloudcreds.azure.addresses import is_allowed
from cloudcreds.azure.answers import AskedService, Stopped, UnknownAnswer
from cloudcreds.azure.clouds import endpoints_of
from cloudcreds.choices import AccessModel
from cloudcreds.provider import recovery
from cloudcreds.provider.types import CredentialAccess, VaultInfo, VaultListing
from cloudcreds.provider.vault_setup import PolicyAssignment, VaultSetup
from kmes.core.known_secrets import mask
from kmes.core.stored_text import storable_json

SUBSCRIPTIONS_API = "2022-12-01"
# From 2027-02-27 on, older versions are refused (docs/azure.md#resource-manager).
VAULTS_API = "2026-02-01"
POLICIES_API = "2023-04-01"
MAX_PAGES = 100
# Vaults of a subscription that are asked for their policies one by one, where the subscription may not be read.
MAX_SINGLE_READS = 20
# So many private endpoints of a vault are counted.
MAX_ENDPOINTS = 1000
# What a link to the next page may look like, wherever it leads.
_ADDRESS = re.compile(r"https://[\x21-\x7e]+")
# Refusals of the list of subscriptions that are about the rights of the credential, or pass by themselves.
_MEANT_FOR_US = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
# Codes of a subscription in which the resource provider for vaults is not registered: it holds no vault.
_NOT_REGISTERED = frozenset({"MissingSubscriptionRegistration", "SubscriptionNotRegistered"})


def list_vaults(access: CredentialAccess) -> VaultListing:
    """Return the vaults of all subscriptions the credential may see, by name, and what could not be read."""
    vaults: list[VaultInfo] = []
    unread: list[str] = []
    for row in _subscriptions(access):
        subscription = str(row.get("subscriptionId", ""))
        path = (
            f"/subscriptions/{quote(subscription, safe='')}/providers/Microsoft.KeyVault/vaults"
            f"?api-version={VAULTS_API}"
        )
        name = str(row.get("displayName") or subscription)[:80]
        try:
            found = _with_policies(access, subscription, list(_rows(access, path)))
        except HttpResponseError as error:
            if _is_about_sign_in(error):
                raise
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
    # A vault that is moved meanwhile stands in two subscriptions; a row may stand on two pages.
    once = {vault.url.lower(): vault for vault in vaults}
    return VaultListing(sorted(once.values(), key=lambda vault: vault.name.lower()), unread)


def _subscriptions(access: CredentialAccess) -> list[dict[str, Any]]:
    """Return the subscriptions that the credential may see.

    Raises:
        HttpResponseError: the sign-in or the right was refused, or Resource Manager throttles.
        UnknownAnswer: any other refusal: it says nothing about vaults or keys.

    """
    try:
        return list(_rows(access, f"/subscriptions?api-version={SUBSCRIPTIONS_API}"))
    except HttpResponseError as error:
        if _is_about_sign_in(error) or error.status_code in _MEANT_FOR_US:
            raise
        what = _("Resource Manager refused (%(code)s)") % {"code": _code_of(error)}
        raise UnknownAnswer(AskedService.RESOURCE_MANAGER, f"{what}.", status=error.status_code) from None


def _rows(access: CredentialAccess, path: str) -> Iterator[dict[str, Any]]:
    """Return the rows of a listing, page after page; columns can keep each text in them.

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
        yield from (storable_json(row) for row in body.get("value", []) if isinstance(row, dict))
        url = body.get("nextLink")
        if not url:
            return
        if not isinstance(url, str) or not _ADDRESS.fullmatch(url):
            raise UnknownAnswer(
                AskedService.RESOURCE_MANAGER, _("The listing breaks off: its next page has no address.")
            )
    raise UnknownAnswer(AskedService.RESOURCE_MANAGER, _("The listing has no end."))


def _with_policies(access: CredentialAccess, subscription: str, rows: list[dict[str, Any]]) -> list[VaultInfo]:
    """Return the vaults of a subscription with their policies, asked for all at once where that is permitted."""
    ids = [str(row.get("id") or "") for row in rows]
    if not rows:
        return []
    of_all = _assignments(access, f"/subscriptions/{quote(subscription, safe='')}")
    policies: list[tuple[PolicyAssignment, ...] | None] = []
    for number, resource_id in enumerate(ids):
        listed = of_all
        if listed is None and number < MAX_SINGLE_READS and resource_id.lower().startswith("/subscriptions/"):
            # The role Reader may have been given on the vault alone.
            listed = _assignments(access, quote(resource_id))
        policies.append(None if listed is None else policy_assignments.on_vault(listed, resource_id))
    return [_vault(row, known) for row, known in zip(rows, policies, strict=True)]


def _assignments(access: CredentialAccess, scope: str) -> list[dict[str, Any]] | None:
    """Return the policy assignments at, above and below a scope; None where they can't be read."""
    path = f"{scope}/providers/Microsoft.Authorization/policyAssignments?api-version={POLICIES_API}"
    try:
        return list(_rows(access, path))
    except HttpResponseError:
        return None
    except UnknownAnswer as error:
        if isinstance(error, Stopped):
            raise
        return None


def _is_about_sign_in(error: HttpResponseError) -> bool:
    """Return whether the sign-in was refused, which has no status here, or Resource Manager refused its token.

    A subscription of another tenant refuses the token too; that is about the subscription.
    """
    if isinstance(error, ClientAuthenticationError):
        return True
    return error.status_code == HTTPStatus.UNAUTHORIZED and _code_of(error) != "InvalidAuthenticationTokenTenant"


def _code_of(error: HttpResponseError) -> str:
    return mask(str(getattr(error.error, "code", "") or error.status_code))[:60]


def _describe_refusal(name: str, error: HttpResponseError) -> str:
    code = _code_of(error)
    if code in _NOT_REGISTERED:
        why = _(
            "the resource provider Microsoft.KeyVault is not registered in it; register it if it should hold vaults"
        )
    elif error.status_code == 403:
        why = _("the app registration may not read it; grant it the role Reader")
    elif error.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        why = _("Resource Manager throttles: too many requests; list the vaults again later")
    else:
        why = _("Resource Manager refused (%(code)s)") % {"code": code}
    return _("Subscription %(name)s: %(why)s.") % {"name": name, "why": why}


def _vault(row: dict[str, Any], policies: tuple[PolicyAssignment, ...] | None) -> VaultInfo:
    properties = _members(row.get("properties"))
    return VaultInfo(
        name=str(row.get("name", "")),
        url=str(properties.get("vaultUri") or "").rstrip("/"),
        tier=str(_members(properties.get("sku")).get("name") or ""),
        soft_delete=properties.get("enableSoftDelete") is not False,
        retention_days=recovery.days_of(properties.get("softDeleteRetentionInDays")),
        purge_protected=properties.get("enablePurgeProtection") is True,
        setup=_setup(properties, policies),
    )


def _members(value: Any) -> dict[str, Any]:
    """Return the members of an object; none where something else stands in its place."""
    return value if isinstance(value, dict) else {}


def _setup(properties: dict[str, Any], policies: tuple[PolicyAssignment, ...] | None) -> VaultSetup:
    network, endpoints = _members(properties.get("networkAcls")), properties.get("privateEndpointConnections")
    return VaultSetup(
        access_model=AccessModel.ROLES if properties.get("enableRbacAuthorization") is True else AccessModel.POLICIES,
        public_access=str(properties.get("publicNetworkAccess") or "Enabled").lower() != "disabled",
        firewall=str(network.get("defaultAction") or "").lower() == "deny",
        private_endpoints=sum(map(_is_approved, endpoints[:MAX_ENDPOINTS])) if isinstance(endpoints, list) else 0,
        policies=policies,
    )


def _is_approved(endpoint: Any) -> bool:
    described = _members(_members(endpoint).get("properties"))
    return _members(described.get("privateLinkServiceConnectionState")).get("status") == "Approved"
