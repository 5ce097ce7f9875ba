"""The gateway to one vault of Azure Key Vault, through the SDK."""

from __future__ import annotations

from collections.abc import Iterator

from azure.core.exceptions import AzureError as SdkError
from azure.keyvault.keys.crypto import SignatureAlgorithm

from cloudcreds.azure import clients, convert, probe, resource_manager
from cloudcreds.azure.calls import Hook
from cloudcreds.azure.clouds import endpoints_of
from cloudcreds.azure.key_calls import KeyCalls, all_rows
from cloudcreds.provider import signatures
from cloudcreds.provider.errors import CloudError
from cloudcreds.provider.types import (
    DeletedKey,
    ProbeResult,
    RotationPolicy,
    VaultListing,
)
from hsm.types import KeySpec


def _name_of(client_id: str) -> str:
    return f"client {client_id}" if client_id else "the host's managed identity"


# Keys that the console makes for itself: their deletions are events of their own.
EPHEMERAL_PREFIXES = ("kmes-kek-", "kmes-probe")


class AzureGateway(KeyCalls):
    """``VaultGateway`` for Azure."""

    # --- signing in ------------------------------------------------------------------------
    def get_token(self) -> None:
        """Obtain a token for the vault, or find one kept that is still good."""
        scope = endpoints_of(self._access).vault_scope
        self.call_sdk(
            "azure.token_obtained",
            # Opened here, because a tenant that was typed as a domain is asked for first.
            lambda _hook: clients.open_token_credential(self._access).get_token(scope),
            permission="",
            message=lambda _token: f"Token obtained for {_name_of(self._access.client_id)}",
        )

    # --- deleted keys ----------------------------------------------------------------------
    def delete_key(self, name: str) -> DeletedKey:
        """Delete the whole key. Doesn't wait until Azure shows it as deleted."""
        event = "azure.kek_deleted" if name.startswith(EPHEMERAL_PREFIXES) else "azure.key_deleted"

        def operation(hook: Hook) -> DeletedKey:
            poller = self._client.begin_delete_key(name, raw_response_hook=hook, _polling_interval=0)
            return convert.deleted(poller.result())

        return self.call_sdk(
            event, operation, permission="delete", key=name, mutating=True, message=lambda _gone: f"{name} deleted"
        )

    def get_deleted(self, name: str) -> DeletedKey | None:
        """Return a key that is deleted but recoverable; None when there is none."""
        return self.none_if_missing(
            lambda: self.call_sdk(
                "azure.deleted_key_read",
                lambda hook: convert.deleted(self._client.get_deleted_key(name, raw_response_hook=hook)),
                permission="get",
                key=name,
            )
        )

    def recover_key(self, name: str) -> None:
        """Ask Azure to recover a deleted key. Doesn't wait until it shows."""
        self.call_sdk(
            "azure.key_recovered",
            lambda hook: self._client.begin_recover_deleted_key(name, raw_response_hook=hook).result(),
            permission="recover",
            key=name,
            mutating=True,
            message=lambda _key: f"{name} recovered",
        )

    def purge_key(self, name: str) -> None:
        """Purge a deleted key for good."""
        event = "azure.kek_purged" if name.startswith(EPHEMERAL_PREFIXES) else "azure.key_purged"
        self.call_sdk(
            event,
            lambda hook: self._client.purge_deleted_key(name, raw_response_hook=hook),
            permission="purge",
            key=name,
            mutating=True,
            message=lambda _none: f"{name} purged",
        )

    def list_key_names(self, prefix: str) -> list[str]:
        """Return the names of live keys that begin with ``prefix``."""
        return self.call_sdk(
            "azure.key_read",
            lambda _hook: [
                item.name for item in all_rows(self._client.list_properties_of_keys()) if item.name.startswith(prefix)
            ],
            permission="list",
            message=lambda names: f"{len(names)} key(s) named {prefix}* listed",
        )

    def sign(self, name: str, version: str, *, spec: KeySpec, message: bytes) -> bytes:
        """Let the vault sign a message's digest with one version; only the vault has the private half."""

        def operation(hook: Hook) -> bytes:
            client = self._client.get_cryptography_client(name, key_version=version)
            algorithm = SignatureAlgorithm(signatures.algorithm_of(spec))
            answer = client.sign(algorithm, signatures.digest_of(spec, message), raw_response_hook=hook)
            return bytes(answer.signature)

        return self.call_sdk(
            "azure.key_signed",
            operation,
            permission="sign",
            key=name,
            message=lambda _signature: f"Version {version} of {name} made a signature",
        )

    # --- rotation policies -----------------------------------------------------------------
    def get_rotation_policy(self, name: str) -> RotationPolicy | None:
        """Return the key's rotation policy; None when there is no such key."""
        return self.none_if_missing(
            lambda: self.call_sdk(
                "azure.rotation_policy_read",
                lambda hook: convert.rotation_policy(
                    self._client.get_key_rotation_policy(name, raw_response_hook=hook)
                ),
                permission="getrotationpolicy",
                key=name,
            )
        )

    def replace_rotation_policy(self, name: str, policy: RotationPolicy) -> RotationPolicy:
        """Replace the key's rotation policy. The SDK offers no look at the raw answer here."""
        return self.call_sdk(
            "azure.rotation_policy_set",
            lambda _hook: convert.rotation_policy(
                self._client.update_key_rotation_policy(name, convert.sdk_rotation_policy(policy))
            ),
            permission="setrotationpolicy",
            key=name,
            mutating=True,
            message=lambda made: f"Rotation policy of {name}: {'rotates' if made.rotates else 'notifies only'}",
        )

    # --- more than one call ----------------------------------------------------------------
    def list_vaults(self) -> VaultListing:
        """Return the vaults that Resource Manager shows to the credential, over all subscriptions."""
        return self.call_sdk(
            "azure.vaults_listed",
            lambda _hook: resource_manager.list_vaults(self._access),
            permission="",
            message=lambda rows: f"{len(rows.vaults)} vault(s) listed",
        )

    def probe_permissions(self, prefix: str) -> Iterator[ProbeResult]:
        """Try the token, Resource Manager, and each permission on the vault by harmless calls, one by one."""
        return probe.probe(self, prefix, has_vault=bool(self._url), tenant=self._tenant)

    def _tenant(self) -> tuple[str, str]:
        """Return the tenant as the credential names it, and its id; the same twice where it can't be asked for."""
        typed = self._access.tenant_id
        try:
            return typed, clients.tenant_id_of(self._access)
        except (SdkError, CloudError):
            return typed, typed.lower()
