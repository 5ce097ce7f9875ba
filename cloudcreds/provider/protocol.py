"""What a cloud provider can do, and what a gateway to one vault can do. This is all that jobs and key groups know of a cloud."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol

from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.errors import CloudErrorKind
from cloudcreds.provider.guidance import Guide, Remedy
from cloudcreds.provider.recorder import Recorder
from cloudcreds.provider.types import (
    ChangeLimit,
    CredentialAccess,
    CredentialColumns,
    DeletedKey,
    KekPublicKey,
    ProbeResult,
    RotationPolicy,
    VaultKey,
    VaultListing,
    VersionInfo,
)
from hsm.types import KeySpec


class VaultGateway(Protocol):
    """The way to one vault.

    Each method that asks the vault is one call (or one listing). It leaves one log row per try, raises
    ``CloudError`` only, and refuses to run while a database transaction is open.
    """

    # --- signing in ------------------------------------------------------------------------
    def get_token(self) -> None:
        """Sign in, or find a sign-in that is still good."""

    def forget_sign_in(self) -> bool:
        """Drop the kept sign-in, so that the next call obtains a new one. Return False where none is kept."""

    # --- clocks ----------------------------------------------------------------------------
    def clock_difference(self) -> timedelta | None:
        """Return how far this machine's clock is ahead of the vault's (negative: behind); None when not known.

        Asks nobody: the answers of earlier calls show it.
        """

    # --- keys ------------------------------------------------------------------------------
    def create_kek(self, name: str, bits: int, *, expires_on: datetime, tags: dict[str, str]) -> KekPublicKey:
        """Create an RSA key-encryption key in the vault's HSM that may only import."""

    def read_kek(self, name: str, bits: int) -> KekPublicKey | None:
        """Return a KEK of that size that exists; None when there is none.

        Raises:
            CloudError: there is one that is no such KEK (kind ``wrong_answer``); likewise ``create_kek``.

        """

    def build_transfer_blob(self, kek: KekPublicKey, ciphertext: bytes) -> bytes:
        """Return what ``import_key`` takes for a private key wrapped under the KEK. Asks nobody.

        ``ciphertext`` is a one-time AES-256 key under the KEK (RSA-OAEP, SHA-1), then the PKCS#8 key under
        the AES key (RFC 5649).
        """

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
        """Import a wrapped key as a new version, which becomes the current one. Never repeats an unknown outcome."""

    def get_key(self, name: str, version: str = "") -> VaultKey | None:
        """Return a version, or the current one; None when there is none."""

    def list_versions(self, name: str) -> list[VersionInfo]:
        """Return all versions by time of creation; [] when the key doesn't exist."""

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
        """Set attributes of a version; None leaves a value."""

    def delete_key(self, name: str) -> DeletedKey:
        """Delete the key with all its versions. Doesn't wait until the vault shows it as deleted."""

    def get_deleted(self, name: str) -> DeletedKey | None:
        """Return a key that is deleted but recoverable; None when there is none."""

    def recover_key(self, name: str) -> None:
        """Ask the vault to recover a deleted key. Doesn't wait until it shows."""

    def purge_key(self, name: str) -> None:
        """Purge a deleted key for good."""

    def list_key_names(self, prefix: str) -> list[str]:
        """Return the names of live keys that begin with ``prefix``."""

    def sign(self, name: str, version: str, *, spec: KeySpec, message: bytes) -> bytes:
        """Let the vault sign a message with one version, in the form that ``provider.signatures`` verifies."""

    def get_rotation_policy(self, name: str) -> RotationPolicy | None:
        """Return what the vault does to a key by itself; None when there is no such key."""

    def replace_rotation_policy(self, name: str, policy: RotationPolicy) -> RotationPolicy:
        """Replace what the vault does to a key by itself. Return what it will do then."""

    # --- more than one call ----------------------------------------------------------------
    def list_vaults(self) -> VaultListing:
        """Return the vaults that the credential can see, and what could not be read."""

    def probe_permissions(self, prefix: str) -> Iterator[ProbeResult]:
        """Try the sign-in and each permission on the vault by harmless calls, one result at a time."""

    def expecting(self, *kinds: CloudErrorKind) -> AbstractContextManager[None]:
        """For the body, a refusal of these kinds is what was asked for: it is raised, but its row is no error."""


class CloudProvider(Protocol):
    """A cloud service with vaults. Must be importable without its SDK: the web process loads none."""

    @property
    def service(self) -> str:
        """Return the value of ``credential.service`` that chooses this provider."""

    def open_gateway(
        self, access: CredentialAccess, vault_url: str, *, recorder: Recorder, backoff: Backoff
    ) -> VaultGateway:
        """Return the gateway to a vault; with an empty URL only ``get_token`` and ``list_vaults`` work."""

    def clean_vault_url(self, text: str, *, cloud: str) -> str:
        """Return the URL of the vault that a typed name or URL means.

        Raises:
            InputError: it is no vault of that cloud (field ``vault``).

        """

    def vault_name(self, url: str) -> str:
        """Return the name to show for a vault's URL."""

    def set_up_guide(self, credential: CredentialColumns | None, *, vault: str) -> Guide:
        """Return how the cloud has to be set up, with the ids that are known filled in."""

    def check_label(self, check: str) -> str:
        """Return the name of a connection test's check in the reader's language."""

    def remedy_for(self, check: str, kind: str, *, credential: CredentialColumns, vault: str, otherwise: str) -> Remedy:
        """Return what to do about a failed check.

        Args:
            check: the name of the check.
            kind: the ``CloudErrorKind`` of its failure, "" for none.
            credential: the credential that was tested.
            vault: the vault's name, "" when there is none.
            otherwise: the text of the remedy where the provider knows none.

        """

    def change_limit(self, cloud: str) -> ChangeLimit | None:
        """Return how many HSM changes a vault of this cloud takes in a window; None for no limit."""
