"""Plain types about Azure: what goes in, what comes out. No SDK type crosses this border."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from kmes.core.secret_types import SecretText


class Cloud(StrEnum):
    """Which Azure."""

    PUBLIC = "public"
    US_GOVERNMENT = "usgov"
    CHINA = "china"
    CUSTOM = "custom"


@dataclass(frozen=True)
class Endpoints:
    """Where a cloud's services are. Suffixes and scopes are Azure's documented constants."""

    authority: str
    arm: str
    vault_suffix: str
    vault_scope: str
    arm_scope: str


ENDPOINTS: dict[Cloud, Endpoints] = {
    Cloud.PUBLIC: Endpoints(
        "https://login.microsoftonline.com",
        "https://management.azure.com",
        "vault.azure.net",
        "https://vault.azure.net/.default",
        "https://management.azure.com/.default",
    ),
    Cloud.US_GOVERNMENT: Endpoints(
        "https://login.microsoftonline.us",
        "https://management.usgovcloudapi.net",
        "vault.usgovcloudapi.net",
        "https://vault.usgovcloudapi.net/.default",
        "https://management.usgovcloudapi.net/.default",
    ),
    Cloud.CHINA: Endpoints(
        "https://login.chinacloudapi.cn",
        "https://management.chinacloudapi.cn",
        "vault.azure.cn",
        "https://vault.azure.cn/.default",
        "https://management.chinacloudapi.cn/.default",
    ),
}


@dataclass(frozen=True)
class CredentialAccess:
    """A cloud credential with its secret opened; lives as long as one job runs."""

    cloud: Cloud
    tenant_id: str
    client_id: str
    secret: SecretText
    authority_url: str = ""
    arm_url: str = ""

    @property
    def endpoints(self) -> Endpoints:
        """Return the cloud's endpoints; custom ones keep the scopes of Azure public."""
        if self.cloud != Cloud.CUSTOM:
            return ENDPOINTS[self.cloud]
        public = ENDPOINTS[Cloud.PUBLIC]
        return Endpoints(self.authority_url, self.arm_url, "", public.vault_scope, public.arm_scope)


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


@dataclass(frozen=True)
class VersionInfo:
    """One row of a version listing."""

    kid: str
    version: str
    enabled: bool
    created_on: datetime | None
    expires_on: datetime | None
    tags: dict[str, str] = field(default_factory=dict)
    updated_on: datetime | None = None


@dataclass(frozen=True)
class DeletedKey:
    """A deleted key. Without ``recovery_id`` the vault has no soft-delete and the key is gone."""

    name: str
    recovery_id: str
    deleted_on: datetime | None
    scheduled_purge_on: datetime | None


@dataclass(frozen=True)
class VaultInfo:
    """A vault as Azure Resource Manager describes it."""

    name: str
    url: str
    tier: str
    subscription_id: str
    resource_group: str
    location: str
    soft_delete: bool
    retention_days: int | None
    purge_protected: bool


@dataclass(frozen=True)
class ProbeResult:
    """One check of a connection test. ``ok`` None: it could not be tried, and does not count.

    Attributes:
        kind: the ``AzureErrorKind`` of a failure, "" for none; the guide knows the cure of each.
        at: when it was tried, as ISO text in UTC.
        facts: what the check found out about the vault: tier, recovery_level, recoverable_days.

    """

    name: str
    ok: bool | None
    text: str
    remedy: str = ""
    duration_ms: int = 0
    kind: str = ""
    at: str = ""
    facts: Mapping[str, str | int | None] = field(default_factory=dict)


def recovery_level_of(info: VaultInfo) -> str:
    """Return the recovery level that keys of a vault bear, from what Resource Manager says (AZURE.md, 4.2)."""
    if not info.soft_delete:
        return "Purgeable"
    days = info.retention_days or 90
    level = "Recoverable" if days >= 90 else "CustomizedRecoverable"
    return level if info.purge_protected else f"{level}+Purgeable"


def has_soft_delete(recovery_level: str) -> bool:
    """Return whether deleted keys of the vault can be recovered (AZURE.md, 4.2)."""
    return recovery_level.startswith(("Recoverable", "CustomizedRecoverable"))


def is_purge_protected(recovery_level: str) -> bool:
    """Return whether nobody may purge before the retention period ends (AZURE.md, 4.2)."""
    return has_soft_delete(recovery_level) and "Purgeable" not in recovery_level
