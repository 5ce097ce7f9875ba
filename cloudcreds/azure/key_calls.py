"""Calls about keys and their versions: KEKs, imports, reading and changing. Part of ``gateway.AzureGateway``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.keys import JsonWebKey, KeyClient, KeyVaultKey
from django.utils.translation import gettext as _

from cloudcreds.azure import clients, convert, transfer_blob
from cloudcreds.azure.answers import AskedService, UnknownAnswer
from cloudcreds.azure.calls import AzureCalls
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.types import (
    KekPublicKey,
    VaultKey,
    VersionInfo,
)
from hsm.types import KeySpec

# A page has 25 rows; nobody has 12,500 versions of a key or keys with one prefix.
MAX_PAGES = 500
# The only one that Azure's RSA keys have.
PUBLIC_EXPONENT = 65537


class KeyCalls(AzureCalls):
    """What ``AzureGateway`` can do with live keys."""

    @property
    def _client(self) -> KeyClient:
        return clients.open_key_client(self._access, self._url)

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
            lambda hook: _with_public_half(
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
                    convert.version(item) for item in all_rows(self._client.list_properties_of_key_versions(name))
                ],
                permission="list",
                key=name,
                message=lambda rows: f"{len(rows)} version(s) of {name} listed",
            )
        )
        # While versions are added, the same row may stand on two pages.
        once = {row.version: row for row in found or []}
        return sorted(once.values(), key=lambda row: row.created_on.timestamp() if row.created_on else 0.0)

    def update_version(
        self,
        name: str,
        version: str,
        *,
        enabled: bool | None = None,
        expires_on: datetime | None = None,
        not_before: datetime | None = None,
        operations: list[str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> VaultKey:
        """Set what is said about a version; None leaves a value."""
        given = {
            "enabled": enabled,
            "expires_on": expires_on,
            "not_before": not_before,
            "key_operations": operations,
            "tags": tags,
        }
        changes: dict[str, Any] = {option: value for option, value in given.items() if value is not None}
        if set(changes) == {"enabled"}:
            done = "enabled" if enabled else "disabled"
        else:
            done = f"updated: {', '.join(sorted(changes))}"
        return self.call_sdk(
            "azure.version_updated",
            lambda hook: _with_changes(
                self._client.update_key_properties(name, version, raw_response_hook=hook, **changes),
                enabled=enabled,
                expires_on=expires_on,
                not_before=not_before,
            ),
            permission="update",
            key=name,
            mutating=True,
            message=lambda made: f"Version {made.version} of {name} {done}",
        )


def all_rows(pager: Any) -> list[Any]:
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
            (_("its public exponent"), kek.exponent == PUBLIC_EXPONENT),
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


def _with_public_half(made: KeyVaultKey) -> VaultKey:
    """Return an imported version.

    Raises:
        UnknownAnswer: the answer shows no public half, so it does not tell what was imported.

    """
    key = convert.key(made)
    if not key.public_spki:
        raise UnknownAnswer(AskedService.VAULT, _("The answer does not show the key that was imported."))
    return key


def _with_changes(
    made: KeyVaultKey, *, enabled: bool | None, expires_on: datetime | None, not_before: datetime | None
) -> VaultKey:
    """Return a version that shows the changes which were asked for; None asks for none.

    Raises:
        UnknownAnswer: the answer shows other values, as a stored one does, so it does not tell that the change was made.

    """
    key = convert.key(made)
    times = ((expires_on, key.expires_on), (not_before, key.not_before))
    is_shown = enabled in {None, key.enabled} and all(
        wanted is None or (shown is not None and int(shown.timestamp()) == int(wanted.timestamp()))
        for wanted, shown in times
    )
    if not is_shown:
        raise UnknownAnswer(AskedService.VAULT, _("The answer does not show the requested change."))
    return key
