"""Plain types about a cloud and its vaults: what goes in, what comes out. No SDK type crosses this border."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from cloudcreds.provider import recovery
from cloudcreds.provider.proofs import Proof
from cloudcreds.provider.vault_setup import VaultSetup


class CredentialColumns(Protocol):
    """What a credential's row holds beside its secret. ``cloud`` is one of ``choices.CloudName``."""

    @property
    def cloud(self) -> str: ...  # noqa: D102
    @property
    def tenant_id(self) -> str: ...  # noqa: D102
    @property
    def client_id(self) -> str: ...  # noqa: D102
    @property
    def authority_url(self) -> str: ...  # noqa: D102
    @property
    def arm_url(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class CredentialAccess:
    """The columns of a cloud credential with what it proves itself by; lives as long as one job runs."""

    cloud: str
    tenant_id: str
    client_id: str
    proof: Proof
    authority_url: str = ""
    arm_url: str = ""


@dataclass(frozen=True)
class ChangeLimit:
    """How many HSM changes (creations and imports) a vault takes in a sliding window of some seconds."""

    changes: int
    seconds: float


@dataclass(frozen=True)
class KekPublicKey:
    """A key-encryption key in a vault: its versioned id and public numbers.

    ``lifetime`` is how long the vault lets it live, by its own clock; None when the vault doesn't say.
    """

    kid: str
    name: str
    version: str
    modulus: int
    exponent: int
    recovery_level: str
    recoverable_days: int | None
    lifetime: timedelta | None = None


@dataclass(frozen=True)
class VaultKey:
    """One version of a key in a vault; ``public_spki`` is DER SubjectPublicKeyInfo."""

    kid: str
    name: str
    version: str
    kty: str
    public_spki: bytes
    enabled: bool
    created_on: datetime | None
    expires_on: datetime | None
    recovery_level: str
    recoverable_days: int | None
    key_ops: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    updated_on: datetime | None = None
    not_before: datetime | None = None


@dataclass(frozen=True)
class RotationPolicy:
    """What a vault does to a key by itself, and when. Durations are ISO 8601 texts such as P90D; "" for never.

    Attributes:
        rotate_after_create: how long after a version's creation the vault makes the next one.
        rotate_before_expiry: the same, before a version's expiry.
        notify_before_expiry: how long before a version's expiry the vault tells its subscribers.
        expires_after: after what time versions expire that the vault makes itself.

    """

    rotate_after_create: str = ""
    rotate_before_expiry: str = ""
    notify_before_expiry: str = ""
    expires_after: str = ""

    @property
    def rotates(self) -> bool:
        """Return whether the vault makes new versions by itself."""
        return bool(self.rotate_after_create or self.rotate_before_expiry)


@dataclass(frozen=True)
class VersionInfo:
    """One row of a version listing. ``hsm_platform`` is the cloud's number of the HSM's generation, "" if not told."""

    kid: str
    version: str
    enabled: bool
    created_on: datetime | None
    expires_on: datetime | None
    tags: dict[str, str] = field(default_factory=dict)
    updated_on: datetime | None = None
    not_before: datetime | None = None
    hsm_platform: str = ""


@dataclass(frozen=True)
class DeletedKey:
    """A deleted key. Without ``recovery_id`` the vault has no soft-delete and the key is gone."""

    name: str
    recovery_id: str
    deleted_on: datetime | None
    scheduled_purge_on: datetime | None


@dataclass(frozen=True)
class VaultInfo:
    """A vault as the provider's list of vaults describes it."""

    name: str
    url: str
    tier: str
    soft_delete: bool
    retention_days: int | None
    purge_protected: bool
    # None where the provider tells no more of a vault.
    setup: VaultSetup | None = None

    @property
    def recovery_level(self) -> str:
        """Return the recovery level that keys of the vault bear."""
        return recovery.level_of(
            soft_delete=self.soft_delete, purge_protected=self.purge_protected, retention_days=self.retention_days
        )

    @property
    def recoverable_days(self) -> int | None:
        """Return for how many days deleted keys are kept; None without soft delete."""
        return (self.retention_days or recovery.DEFAULT_RETENTION_DAYS) if self.soft_delete else None


@dataclass(frozen=True)
class VaultListing:
    """The vaults that a credential can see, by name; ``unread`` names in words what could not be read."""

    vaults: list[VaultInfo]
    unread: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ProbeResult:
    """One check of a connection test. ``ok`` None: it could not be tried, and does not count.

    Attributes:
        kind: the ``CloudErrorKind`` of a failure, "" for none; the page finds the remedy by it.
        at: when it was tried, as ISO text in UTC.
        facts: what the check learned of the vault: tier, recovery_level, recoverable_days; or of the credential:
            tenant_id, where another name was typed for the tenant.

    """

    name: str
    ok: bool | None
    text: str
    remedy: str = ""
    duration_ms: int = 0
    kind: str = ""
    at: str = ""
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
