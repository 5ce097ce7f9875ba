"""The gateway to one vault of Azure Key Vault, through the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.keys import JsonWebKey, KeyClient, KeyVaultKey
from azure.keyvault.keys.crypto import SignatureAlgorithm
from django.utils.translation import gettext as _

from cloudcreds.azure import clients, convert, probe, resource_manager, transfer_blob
from cloudcreds.azure.answers import AskedService, UnknownAnswer
from cloudcreds.azure.calls import AzureCalls, Hook
from cloudcreds.azure.clouds import endpoints_of
from cloudcreds.provider import signatures
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.types import (
    DeletedKey,
    KekPublicKey,
    ProbeResult,
    VaultKey,
    VaultListing,
    VersionInfo,
)
from hsm.types import KeySpec

# Keys that the console makes for itself: their deletions are events of their own.
EPHEMERAL_PREFIXES = ("kmes-kek-", "kmes-probe")
# A page has 25 rows; nobody has 12,500 versions of a key or keys with one prefix.
MAX_PAGES = 500


class AzureGateway(AzureCalls):
    """``VaultGateway`` for Azure."""

    @property
    def _client(self) -> KeyClient:
        return clients.open_key_client(self._access, self._url)

    # --- signing in ------------------------------------------------------------------------
    def get_token(self) -> None:
        """Obtain a token for the vault, or find one kept that is still good."""
        credential = clients.open_token_credential(self._access)
        scope = endpoints_of(self._access).vault_scope
        self.call_sdk(
            "azure.token_obtained",
            lambda _hook: credential.get_token(scope),
            permission="",
            message=lambda _token: f"Token obtained for client {self._access.client_id}",
        )

    # --- keys ------------------------------------------------------------------------------
    def create_kek(self, name: str, bits: int, *, expires_on: datetime, tags: dict[str, str]) -> KekPublicKey:
        """Create an RSA-HSM key that may only import (docs/azure.md#byok)."""
        return self.call_sdk(
            "azure.kek_created",
            lambda hook: _checked_kek(
                self._client.create_rsa_key(
                    name,
                    size=bits,
                    hardware_protected=True,
                    key_operations=["import"],
                    expires_on=expires_on,
                    tags=tags,
                    raw_response_hook=hook,
                ),
                bits,
            ),
            permission="create",
            key=name,
            mutating=True,
            message=lambda kek: f"Ephemeral key {kek.name} created ({bits} bits)",
        )

    def read_kek(self, name: str, bits: int) -> KekPublicKey | None:
        """Return a KEK that exists; None when there is none."""
        return self.none_if_missing(
            lambda: self.call_sdk(
                "azure.kek_public_read",
                lambda hook: _checked_kek(self._client.get_key(name, raw_response_hook=hook), bits),
                permission="get",
                key=name,
            )
        )

    def build_transfer_blob(self, kek: KekPublicKey, ciphertext: bytes) -> bytes:
        """Return the ``.byok`` file for a private key wrapped under the KEK."""
        return transfer_blob.build(kek.kid, ciphertext)

    def import_key(
        self,
        name: str,
        *,
        spec: KeySpec,
        blob: bytes,
        key_ops: list[str],
        enabled: bool,
        expires_on: datetime | None,
        tags: dict[str, str],
    ) -> VaultKey:
        """Import a wrapped key as a new version. An unknown outcome is never repeated here."""
        key = JsonWebKey(kty=spec.azure_kty, key_ops=key_ops, t=blob, **({"crv": spec.curve} if spec.curve else {}))
        options: dict[str, Any] = {"expires_on": expires_on} if expires_on else {}
        return self.call_sdk(
            "azure.key_imported",
            lambda hook: convert.key(
                self._client.import_key(
                    name, key, hardware_protected=True, enabled=enabled, tags=tags, raw_response_hook=hook, **options
                )
            ),
            permission="import",
            key=name,
            mutating=True,
            message=lambda made: f"Version {made.version} of {name} imported",
        )

    def get_key(self, name: str, version: str = "") -> VaultKey | None:
        """Return a version, or the current one; None when there is none."""
        return self.none_if_missing(
            lambda: self.call_sdk(
                "azure.key_read",
                lambda hook: convert.key(self._client.get_key(name, version or None, raw_response_hook=hook)),
                permission="get",
                key=name,
            )
        )

    def list_versions(self, name: str) -> list[VersionInfo]:
        """Return all versions by time of creation; [] when the key doesn't exist.

        Azure's times have whole seconds, so versions of one second stand in no certain order.
        """
        found = self.none_if_missing(
            lambda: self.call_sdk(
                "azure.versions_listed",
                lambda _hook: [
                    convert.version(item) for item in _all_rows(self._client.list_properties_of_key_versions(name))
                ],
                permission="list",
                key=name,
                message=lambda rows: f"{len(rows)} version(s) of {name} listed",
            )
        )
        return sorted(found or [], key=lambda row: row.created_on.timestamp() if row.created_on else 0.0)

    def update_version(
        self,
        name: str,
        version: str,
        *,
        enabled: bool | None = None,
        expires_on: datetime | None = None,
        operations: list[str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> VaultKey:
        """Set what is said about a version; None leaves a value."""
        given = {"enabled": enabled, "expires_on": expires_on, "key_operations": operations, "tags": tags}
        changes: dict[str, Any] = {option: value for option, value in given.items() if value is not None}
        if set(changes) == {"enabled"}:
            done = "enabled" if enabled else "disabled"
        else:
            done = f"updated: {', '.join(sorted(changes))}"
        return self.call_sdk(
            "azure.version_updated",
            lambda hook: convert.key(
                self._client.update_key_properties(name, version, raw_response_hook=hook, **changes)
            ),
            permission="update",
            key=name,
            mutating=True,
            message=lambda made: f"Version {made.version} of {name} {done}",
        )

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
                item.name for item in _all_rows(self._client.list_properties_of_keys()) if item.name.startswith(prefix)
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
        return probe.probe(self, prefix, has_vault=bool(self._url))


def _all_rows(pager: Any) -> list[Any]:
    """Return the rows of all pages.

    Raises:
        UnknownAnswer: the pages have no end, or break off. What was read so far says nothing of the rest.

    """
    rows: list[Any] = []
    pages = pager.by_page()
    for number in range(MAX_PAGES):
        try:
            rows += next(pages)
        except StopIteration:
            return rows
        except ResourceNotFoundError:
            if number == 0:
                raise
            raise UnknownAnswer(AskedService.VAULT, _("The listing broke off after its first page.")) from None
    raise UnknownAnswer(AskedService.VAULT, _("The listing has no end."))


def _checked_kek(made: KeyVaultKey, bits: int) -> KekPublicKey:
    """Return a KEK that is what was asked for: under another one, a private key would not be safe.

    Raises:
        CloudError: it is not (kind ``wrong_answer``).

    """
    kek = convert.kek(made)
    differs = [
        what
        for what, is_right in (
            (_("its type"), convert.text(made.key_type) == "RSA-HSM"),
            (_("its size"), kek.modulus.bit_length() == bits),
            (_("its permitted operations"), [convert.text(each) for each in made.key_operations or ()] == ["import"]),
            (_("that it is disabled"), made.properties.enabled is not False),
        )
        if not is_right
    ]
    if differs:
        raise CloudError(
            CloudErrorKind.WRONG_ANSWER,
            _("The ephemeral key %(name)s is not what the vault was asked for: %(what)s.")
            % {"name": kek.name, "what": ", ".join(differs)},
            _("No key was wrapped under it. Look into the vault, and whether a proxy stands in between."),
        )
    return kek
