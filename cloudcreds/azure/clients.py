"""Builds the SDK's clients: one profile to read, one to mutate, and one for Resource Manager.

* read: the SDK's own retries, no redirects.
* mutate: ``retry_total=0``, because a repeated PUT doubles versions (docs/azure.md#limits-and-throttling);
  no redirects, because an answer from another host could claim a success. Its requests have a send
  deadline (``cloudcreds.azure.transport``).

Clients are kept per process and credential, so that connections and tokens serve many jobs. A changed
secret gets a slot of its own; a forked process starts without any.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from django.conf import settings

from cloudcreds.azure.clouds import endpoints_of
from cloudcreds.azure.transport import GuardedTransport
from cloudcreds.choices import CloudName
from cloudcreds.provider.types import CredentialAccess

CONNECT_SECONDS = 5
READ_SECONDS = 30
MAX_SLOTS = 64

T = TypeVar("T")
_lock = threading.RLock()
_slots: dict[tuple[Any, ...], Any] = {}
_pid = 0


@dataclass(frozen=True)
class KeyClients:
    """The two clients of one vault."""

    read: KeyClient
    mutate: KeyClient


def forget_clients() -> None:
    """Drop every kept client, connection, token and challenge."""
    from azure.keyvault.keys._shared import http_challenge_cache  # noqa: PLC0415 - the SDK offers no public name

    with _lock:
        _slots.clear()
    http_challenge_cache.clear()


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
    # A hash instead of the secret, so that the table holds no clear text.
    mark = hashlib.sha256(access.secret.reveal().encode()).hexdigest()
    return (access.cloud, access.tenant_id, access.client_id, access.authority_url, access.arm_url, mark)


def _network(access: CredentialAccess) -> dict[str, Any]:
    """Return the options of every client: time-outs, no logged bodies, the custom CA where it applies."""
    options: dict[str, Any] = {
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "logging_enable": False,
        "permit_redirects": False,
    }
    if access.cloud == CloudName.CUSTOM and settings.KMES_CUSTOM_CA_FILE:
        options["connection_verify"] = settings.KMES_CUSTOM_CA_FILE
    return options


def open_token_credential(access: CredentialAccess) -> ClientSecretCredential:
    """Return the SDK credential; it keeps tokens in memory and renews them."""

    def make() -> ClientSecretCredential:
        options = _network(access)
        if access.cloud == CloudName.CUSTOM:
            options["disable_instance_discovery"] = True
        return ClientSecretCredential(
            access.tenant_id,
            access.client_id,
            access.secret.reveal(),
            authority=endpoints_of(access).authority,
            retry_total=1,
            **options,
        )

    return _keep(("token", *_identity(access)), make)


def open_key_clients(access: CredentialAccess, vault_url: str) -> KeyClients:
    """Return the clients of one vault."""

    def make() -> KeyClients:
        credential = open_token_credential(access)
        options = _network(access)
        if access.cloud == CloudName.CUSTOM:
            # No custom host matches the challenge's resource; Azure's own always must (docs/azure.md#sign-in).
            options["verify_challenge_resource"] = False
        # One transport for both, because a job uses them in turn and needs one TLS connection. The
        # proxies of the environment are read here once, not before every request.
        transport = GuardedTransport(**_transport_options(options), use_env_settings=False)
        options["proxies"] = _proxies(vault_url)
        return KeyClients(
            read=KeyClient(vault_url, credential, transport=transport, retry_total=3, **options),
            mutate=KeyClient(vault_url, credential, transport=transport, retry_total=0, **options),
        )

    return _keep(("keys", vault_url, *_identity(access)), make)


def _proxies(url: str) -> dict[str, str]:
    """Return the proxies that the environment names for this address (HTTPS_PROXY, NO_PROXY)."""
    return {} if proxy_bypass(urlsplit(url).hostname or "") else getproxies()


def _transport_options(options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: options[name] for name in ("connection_timeout", "read_timeout", "connection_verify") if name in options
    }


def open_arm_client(access: CredentialAccess, subscription_id: str) -> KeyVaultManagementClient:
    """Return the Resource Manager client of one subscription."""

    def make() -> KeyVaultManagementClient:
        return KeyVaultManagementClient(
            open_token_credential(access),
            subscription_id,
            base_url=endpoints_of(access).arm,
            credential_scopes=[endpoints_of(access).arm_scope],
            **_network(access),
        )

    return _keep(("arm", subscription_id, *_identity(access)), make)
