"""How the simulated Azure is set up: vaults, managed HSMs, subscriptions, host names, settings.

Owns these records and which values Azure could have. Must not read the command line, the
network or the disk.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any

from azure_emulator import azure_policy
from azure_emulator.identity.clients import SEED_SUBSCRIPTION, SEED_TENANT

# A vault name starts with a letter and has no double hyphen (Azure naming rules).
VAULT_NAME = re.compile(r"^(?=.{3,24}$)[a-zA-Z](?:-?[a-zA-Z0-9])*$")
GUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
# Ways in which a subscription refuses all calls about Microsoft.KeyVault.
REFUSALS = ("", "AuthorizationFailed", "SubscriptionNotFound", "MissingSubscriptionRegistration")


class UsageError(Exception):
    """The configuration is not possible; the text says why."""


@dataclass
class VaultProfile:
    """How one vault is set up: what Resource Manager shows, and switches for tests.

    ``firewall`` refuses every address outside ``ip_rules``; without ``public_network`` only private
    endpoints would work. ``policies`` are Azure Policy assignments, see ``azure_policy``.
    """

    name: str
    port: int
    sku: str = "premium"
    retention_days: int = 90
    purge_protection: bool = False
    rbac: bool = False
    firewall: bool = False
    ip_rules: list[str] = field(default_factory=list)
    public_network: bool = True
    private_endpoints: list[str] = field(default_factory=list)
    policies: list[dict[str, Any]] = field(default_factory=list)
    throttle: bool | None = None
    delete_settle: float | None = None
    purge_settle: float | None = None
    recover_settle: float | None = None
    location: str = "westeurope"
    resource_group: str = "kmes"
    subscription: str = SEED_SUBSCRIPTION

    @property
    def resource_id(self) -> str:
        """The vault's full resource id."""
        return resource_id(self, "vaults")


@dataclass
class ManagedHsmProfile:
    """A managed HSM as Resource Manager lists it; its own data plane is not simulated."""

    name: str
    retention_days: int = 90
    purge_protection: bool = False
    public_network: bool = True
    location: str = "westeurope"
    resource_group: str = "kmes"
    subscription: str = SEED_SUBSCRIPTION


@dataclass
class SubscriptionProfile:
    """A subscription; ``refuses`` is the code with which it refuses calls about Key Vault."""

    subscription_id: str
    name: str = "Emulator subscription"
    tenant_id: str = SEED_TENANT
    refuses: str = ""


@dataclass
class Settings:
    """Behaviour shared by all vaults; may be changed while running."""

    latency_ms: float = 0.0
    throttle: bool = False
    delete_settle: float = 0.0
    purge_settle: float = 0.0
    recover_settle: float = 0.0
    page_size: int = 25
    token_lifetime: int = 3599
    allow_rotate_imported: bool = False
    # A new grant acts after so many seconds, and in Azure only in tokens issued after it.
    grant_settle: float = 0.0
    grants_need_new_token: bool = False
    # Entra accepts an assertion more than once while it is valid, and MSAL relies on that.
    refuse_replayed_assertions: bool = False
    # The value App Service puts into IDENTITY_HEADER.
    identity_header: str = "emulator-identity-header"
    # The host named in challenges under Azure's own names; older vaults name login.windows.net.
    challenge_authority: str = ""
    # Text of a refusal by Azure Policy; the service's own text is not public.
    policy_refusal_text: str = ""
    # Seconds the vaults' clock is ahead of this machine's; negative is behind. It sets stamps, expiry and due
    # rotations. Tokens use the machine's clock.
    clock_skew_seconds: float = 0.0
    # Seconds added to the ``Date`` header of every answer; negative is behind.
    date_skew_seconds: float = 0.0


@dataclass(frozen=True)
class CloudNames:
    """The host names of one Azure cloud."""

    vault: str = "vault.azure.net"
    authority: str = "login.microsoftonline.com"
    manager: str = "management.azure.com"

    @property
    def vault_suffix(self) -> str:
        """What follows the name of a vault."""
        return f".{self.vault}"

    @property
    def authorities(self) -> tuple[str, ...]:
        """All hosts of the token authority; the public cloud has older names."""
        older = ("login.windows.net", "login.microsoft.com", "sts.windows.net")
        return (self.authority, *older) if self.authority == "login.microsoftonline.com" else (self.authority,)

    @property
    def vault_audience(self) -> str:
        """The resource of tokens for vaults."""
        return f"https://{self.vault}"

    @property
    def arm_audiences(self) -> tuple[str, ...]:
        """The resources of tokens for Resource Manager."""
        older = ("https://management.core.windows.net",) if self.manager == "management.azure.com" else ()
        return (f"https://{self.manager}", *older)

    @property
    def resources(self) -> tuple[str, ...]:
        """Every resource a token can be asked for."""
        managed_hsm = self.vault.replace("vault.", "managedhsm.", 1)
        return (
            self.vault_audience, *self.arm_audiences, f"https://{managed_hsm}", "https://graph.microsoft.com"
        )  # fmt: skip

    @property
    def served_names(self) -> tuple[str, ...]:
        """The names the server certificate needs."""
        return (self.vault, f"*{self.vault_suffix}", *self.authorities, self.manager)


def resource_id(profile: VaultProfile | ManagedHsmProfile, kind: str) -> str:
    """The id by which Resource Manager names a vault or managed HSM."""
    group = f"/subscriptions/{profile.subscription}/resourceGroups/{profile.resource_group}"
    return f"{group}/providers/Microsoft.KeyVault/{kind}/{profile.name}"


def check_profile(profile: VaultProfile) -> VaultProfile:
    """Refuse a vault that Azure could not have."""
    if not VAULT_NAME.match(profile.name):
        raise UsageError(f"'{profile.name}' is not a valid vault name.")
    if profile.sku not in {"premium", "standard"}:
        raise UsageError(f"The sku of vault {profile.name} must be premium or standard.")
    check_retention(profile)
    for rule in profile.ip_rules:
        try:
            ipaddress.ip_network(rule, strict=False)
        except ValueError as error:
            raise UsageError(f"'{rule}' is no address or range.") from error
    if not 1 <= profile.port <= 65535:
        raise UsageError(f"Port {profile.port} of vault {profile.name} is out of range.")
    try:
        azure_policy.check(profile.policies)
    except azure_policy.BadPolicy as error:
        raise UsageError(str(error)) from error
    return profile


def check_retention(profile: VaultProfile | ManagedHsmProfile) -> None:
    """Retention is 7 to 90 days; 0 stands for the vaults of before soft delete."""
    if profile.retention_days != 0 and not 7 <= profile.retention_days <= 90:
        raise UsageError(f"The retention of vault {profile.name} must be 7 to 90 days, or 0 for no soft delete.")
    if profile.retention_days == 0 and profile.purge_protection:
        raise UsageError(f"Vault {profile.name} can't have purge protection without soft delete.")


def check_managed_hsm(profile: ManagedHsmProfile) -> ManagedHsmProfile:
    """Refuse a managed HSM that Azure could not have."""
    if not VAULT_NAME.match(profile.name):
        raise UsageError(f"'{profile.name}' is not a valid name for a managed HSM.")
    check_retention(profile)
    return profile


def check_subscription(profile: SubscriptionProfile) -> SubscriptionProfile:
    """Refuse a subscription that Azure could not have."""
    if not GUID.match(profile.subscription_id):
        raise UsageError(f"'{profile.subscription_id}' is not the id of a subscription.")
    if profile.refuses not in REFUSALS:
        raise UsageError(f"A subscription refuses with one of {', '.join(filter(None, REFUSALS))}.")
    return profile
