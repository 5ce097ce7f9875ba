"""Builds the SDK's clients: for sign-in, for a vault, and for Resource Manager. Each on its own guarded transport.

None repeats a request by itself: what may be repeated is repeated by ``cloudcreds.provider.backoff``, because a
repeated import doubles versions (docs/azure.md#limits-and-throttling).

Clients are kept per process and credential, so that connections and tokens serve many jobs. A changed secret makes
another slot; a fork starts empty.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from azure.core import PipelineClient
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, UserAgentPolicy
from azure.core.pipeline.transport import HttpRequest
from azure.keyvault.keys import KeyClient
from django.conf import settings

from cloudcreds.azure import addresses, error_texts, service_clock
from cloudcreds.azure.answers import AskedService, SignInPlace
from cloudcreds.azure.clouds import endpoints_of
from cloudcreds.azure.sign_in.token_credentials import TokenCredential, make_token_credential
from cloudcreds.azure.transport import GuardedTransport, Way
from cloudcreds.azure.vault_documents import host_of
from cloudcreds.choices import CloudName
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.types import CredentialAccess
from kmes.core.errors import InputError

MAX_SLOTS = 64
GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# What every client is told: no retries, no redirects, nothing logged.
_OPTIONS: dict[str, Any] = {"retry_total": 0, "permit_redirects": False, "logging_enable": False}

T = TypeVar("T")
_lock = threading.RLock()
_slots: dict[tuple[Any, ...], Any] = {}
_pid = 0


def forget_clients() -> None:
    """Drop every kept client, connection, token and challenge, and what is known of the services' clocks."""
    from azure.keyvault.keys._shared import http_challenge_cache  # noqa: PLC0415 - the SDK offers no public name

    with _lock:
        _slots.clear()
    http_challenge_cache.clear()
    service_clock.forget()


def forget_sign_in(access: CredentialAccess) -> None:
    """Drop the kept tokens of one credential, and the clients that hold them; its next request obtains a new token.

    Its tenant's id goes too, where it names a domain: a domain can be moved to another tenant.
    """
    identity = _identity(access)
    with _lock:
        _slots.pop(_tenant_slot(access), None)
        for key in [key for key in _slots if key[-len(identity) :] == identity]:
            del _slots[key]


def forget_challenge(vault_url: str) -> None:
    """Forget the sign-in address that a vault named; its next answer names it again."""
    from azure.keyvault.keys._shared import http_challenge_cache  # noqa: PLC0415 - the SDK offers no public name

    http_challenge_cache.remove_challenge_for_url(vault_url)


def _keep(key: tuple[Any, ...], make: Callable[[], T]) -> T:
    global _pid  # noqa: PLW0603 - the one process-wide slot table
    with _lock:
        if _pid != os.getpid():
            _slots.clear()
            _pid = os.getpid()
        if key not in _slots:
            if len(_slots) >= MAX_SLOTS:
                _slots.pop(next(iter(_slots)))
            _slots[key] = make()
        kept: T = _slots[key]
        return kept


def _identity(access: CredentialAccess) -> tuple[Any, ...]:
    return (
        access.cloud,
        access.tenant_id,
        access.client_id,
        access.authority_url,
        access.arm_url,
        access.proof.mark,
    )


# --- Sign-in ---------------------------------------------------------------------------------
def _sign_in_place(access: CredentialAccess, tenant_id: str) -> SignInPlace:
    endpoints = endpoints_of(access)
    resource = endpoints.vault_scope.removesuffix("/.default")
    return SignInPlace(frozenset({host_of(endpoints.authority)}), tenant_id, resource)


def _transport(access: CredentialAccess, service: AskedService, url: str, tenant_id: str) -> GuardedTransport:
    place = _sign_in_place(access, tenant_id)
    hosts = place.hosts if service is AskedService.SIGN_IN else frozenset({host_of(url)})
    return GuardedTransport(Way(service, hosts, place, access.cloud))


def tenant_id_of(access: CredentialAccess) -> str:
    """Return the tenant's id, asked of Entra when the credential names a verified domain (docs/azure.md#sign-in).

    Raises:
        CloudError: Entra knows no such tenant (kind ``wrong_tenant``).
        TransportError: Entra can't be asked.

    """
    if GUID.fullmatch(access.tenant_id):
        return access.tenant_id.lower()

    def ask() -> str:
        authority = endpoints_of(access).authority
        transport = _transport(access, AskedService.SIGN_IN, authority, "")
        url = f"{authority}/{access.tenant_id}/v2.0/.well-known/openid-configuration"
        with transport:
            document = json.loads(transport.send(HttpRequest("GET", url)).body())
        found = GUID.search(str(document.get("issuer", "")))
        if found is None:
            raise CloudError(CloudErrorKind.WRONG_TENANT, *error_texts.tenant_unknown())
        return found.group().lower()

    return _keep(_tenant_slot(access), ask)


def _tenant_slot(access: CredentialAccess) -> tuple[Any, ...]:
    return ("tenant", access.cloud, access.authority_url, access.tenant_id)


def open_token_credential(access: CredentialAccess) -> TokenCredential:
    """Return the SDK credential; it keeps tokens in memory and renews them.

    Raises:
        CloudError: an address is not allowed (kind ``address_refused``), or the host's managed identity is of
            an unsupported form (``no_managed_identity``).

    """
    _check_addresses(access)

    def make() -> TokenCredential:
        tenant_id = tenant_id_of(access)
        authority = endpoints_of(access).authority
        return make_token_credential(
            access,
            authority=authority,
            tenant_id=tenant_id,
            transport=lambda: _transport(access, AskedService.SIGN_IN, authority, tenant_id),
            options=_OPTIONS,
        )

    return _keep(("token", *_identity(access)), make)


def _check_addresses(access: CredentialAccess, vault_url: str = "") -> None:
    """Hold the addresses that rows name against the allow-list, at the moment of use: a row may have been changed.

    Raises:
        CloudError: one is not allowed (kind ``address_refused``).

    """
    allowed = {"custom_allowed": settings.KMES_ALLOW_CUSTOM_ENDPOINTS, "custom_hosts": settings.KMES_CUSTOM_HOSTS}
    try:
        if access.cloud == CloudName.CUSTOM:
            for url in (access.authority_url, access.arm_url):
                addresses.clean_endpoint(url, field="cloud")
        if vault_url:
            addresses.check_vault_url(vault_url, cloud=access.cloud, **allowed)
    except InputError as error:
        raise CloudError(CloudErrorKind.ADDRESS_REFUSED, error.what, error.remedy) from None


# --- Vault and Resource Manager --------------------------------------------------------------
def open_key_client(access: CredentialAccess, vault_url: str) -> KeyClient:
    """Return the client of one vault.

    Raises:
        CloudError: an address is not allowed (kind ``address_refused``).

    """
    _check_addresses(access, vault_url)

    def make() -> KeyClient:
        options = dict(_OPTIONS)
        if access.cloud == CloudName.CUSTOM:
            # A custom host can't match the challenge's resource; Azure's own always must.
            options["verify_challenge_resource"] = False
        credential = open_token_credential(access)
        transport = _transport(access, AskedService.VAULT, vault_url, tenant_id_of(access))
        return KeyClient(vault_url, credential, transport=transport, **options)

    return _keep(("keys", vault_url, *_identity(access)), make)


def open_resource_manager(access: CredentialAccess) -> PipelineClient[Any, Any]:
    """Return a plain client of Resource Manager.

    Azure's own management client is not used: it answers a subscription's refusal by registering a resource
    provider in it, which changes the customer's subscription.
    """

    def make() -> PipelineClient[Any, Any]:
        endpoints = endpoints_of(access)
        credential = open_token_credential(access)
        policies = [UserAgentPolicy("kmes-console"), BearerTokenCredentialPolicy(credential, endpoints.arm_scope)]
        transport = _transport(access, AskedService.RESOURCE_MANAGER, endpoints.arm, tenant_id_of(access))
        return PipelineClient(endpoints.arm, policies=policies, transport=transport)

    return _keep(("resource manager", *_identity(access)), make)
