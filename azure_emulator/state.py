"""Everything the stand-in remembers: vaults, clients, settings, faults, the request log.

Owns start, reset and the file of run-time changes. Must not answer requests.
"""

from __future__ import annotations

import secrets
import time
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

from azure_emulator import storage
from azure_emulator.changes import BadChange, checked_changes
from azure_emulator.faults.model import FaultList
from azure_emulator.identity.assertions import AssertionChecker
from azure_emulator.identity.clients import SEED_SUBSCRIPTION, SEED_TENANT, Client, upsert
from azure_emulator.identity.tokens import TokenSigner
from azure_emulator.keyvault.kept_keys import KeptKeys
from azure_emulator.keyvault.pool import KeyPool
from azure_emulator.keyvault.vault import Vault
from azure_emulator.options import Options
from azure_emulator.profiles import (
    ManagedHsmProfile,
    SubscriptionProfile,
    UsageError,
    VaultProfile,
    check_managed_hsm,
    check_profile,
    check_subscription,
)
from azure_emulator.request_log import RequestLog

FIXED_VAULT_FIELDS = {"name", "port"}


class State:
    """The whole state of one running stand-in."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.settings = deepcopy(options.settings)
        self.signer = TokenSigner(options.state_dir)
        self.faults = FaultList()
        self.request_log = RequestLog()
        self.pool = KeyPool(options.key_pool, KeptKeys(options.kept_keys) if options.kept_keys else None)
        self.clients: dict[str, Client] = {}
        self.issuers: dict[str, dict[str, Any]] = {}
        self.subscriptions: dict[str, SubscriptionProfile] = {}
        self.managed_hsms: dict[str, ManagedHsmProfile] = {}
        self.domains: dict[str, str] = {}
        self.assertions = AssertionChecker(self.issuers)
        self.vaults: dict[str, Vault] = {}
        # When a permission was granted to a service principal while running.
        self._granted_at: dict[tuple[str, str], float] = {}
        self._vault_changes: dict[str, dict[str, Any]] = {}
        self.backup_key = self._load_backup_key()
        self._seed()
        self._load_changes()
        for profile in options.vaults:
            self._open_vault(deepcopy(profile))

    def _seed(self) -> None:
        """What the command line gives besides vaults."""
        self.clients.update({client.client_id.lower(): deepcopy(client) for client in self.options.clients})
        self.issuers.update(deepcopy(dict(self.options.issuers)))
        first = SubscriptionProfile(SEED_SUBSCRIPTION)
        self.subscriptions.update(
            {each.subscription_id: deepcopy(each) for each in (first, *self.options.subscriptions)}
        )
        self.domains.update(dict.fromkeys(self.options.domains, SEED_TENANT))

    @property
    def _changes_file(self) -> Path:
        return self.options.state_dir / "changes.json"

    def _load_backup_key(self) -> bytes:
        path = self.options.state_dir / "backup.key"
        if not path.exists():
            storage.write_bytes(path, secrets.token_bytes(32))
        return path.read_bytes()

    def _load_changes(self) -> None:
        if not self._changes_file.exists():
            return
        try:
            stored = storage.read_json(self._changes_file)
            for body in stored["clients"]:
                upsert(self.clients, body)
            self._vault_changes = {str(name): dict(change) for name, change in stored["vaults"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise storage.BrokenState(f"The state file {self._changes_file} has lost its form; remove it.") from error

    def _save_changes(self) -> None:
        clients = [client.to_json() for client in self.clients.values()]
        storage.write_json(self._changes_file, {"clients": clients, "vaults": self._vault_changes})

    def _open_vault(self, profile: VaultProfile) -> None:
        for name, value in self._vault_changes.get(profile.name.lower(), {}).items():
            setattr(profile, name, value)
        directory = storage.private_directory(self.options.state_dir / "vaults" / profile.name.lower())
        self.vaults[profile.name.lower()] = Vault(profile, self.settings, directory)

    def find_tenant(self, name: str) -> str | None:
        """The GUID of a tenant, by GUID or by one of its verified domains."""
        lowered = name.lower()
        known = {SEED_TENANT} | {client.tenant_id.lower() for client in self.clients.values()}
        return lowered if lowered in known else self.domains.get(lowered)

    def change_client(self, body: Any) -> Client:
        """Make or change a client and keep that."""
        known = self.clients.get(str(body.get("client_id", "")).lower() if isinstance(body, dict) else "")
        before = set(known.permissions) if known else set()
        client = upsert(self.clients, body)
        now = time.time()
        self._granted_at.update({(client.object_id, word): now for word in set(client.permissions) - before if known})
        self._save_changes()
        return client

    def has_permission(self, client: Client, permission: str, token_issued_at: float) -> bool:
        """Whether the client has a permission, and a recent grant of it acts already in this token."""
        granted_at = self._granted_at.get((client.object_id, permission), 0.0)
        if time.time() < granted_at + self.settings.grant_settle:
            return False
        if self.settings.grants_need_new_token and token_issued_at < int(granted_at):
            return False
        return permission in client.permissions

    def change_vault(self, name: str, body: Any) -> VaultProfile:
        """Change a vault and keep that."""
        vault = self.find_vault(name)
        changes = checked_changes(body, VaultProfile, FIXED_VAULT_FIELDS)
        trial = deepcopy(vault.profile)
        for field, value in changes.items():
            setattr(trial, field, value)
        try:
            check_profile(trial)
        except UsageError as error:
            raise BadChange(str(error)) from error
        for field, value in changes.items():
            setattr(vault.profile, field, value)
        self._vault_changes.setdefault(name.lower(), {}).update(changes)
        self._save_changes()
        return vault.profile

    def find_vault(self, name: str) -> Vault:
        """The vault of this name, or a refusal of the change."""
        vault = self.vaults.get(name.lower())
        if vault is None:
            raise BadChange(f"There is no vault '{name}'.")
        return vault

    def change_subscription(self, body: Any) -> SubscriptionProfile:
        """Make or change a subscription until the next start or reset."""
        changes = checked_changes(body, SubscriptionProfile, set())
        identifier = str(changes.get("subscription_id", "")).lower()
        profile = deepcopy(self.subscriptions.get(identifier) or SubscriptionProfile(identifier, "Subscription"))
        for field, value in {**changes, "subscription_id": identifier}.items():
            setattr(profile, field, value)
        try:
            self.subscriptions[identifier] = check_subscription(profile)
        except UsageError as error:
            raise BadChange(str(error)) from error
        return profile

    def change_managed_hsm(self, body: Any) -> ManagedHsmProfile:
        """Make or change a managed HSM until the next start or reset."""
        changes = checked_changes(body, ManagedHsmProfile, set())
        name = str(changes.get("name", ""))
        profile = deepcopy(self.managed_hsms.get(name.lower()) or ManagedHsmProfile(name))
        for field, value in changes.items():
            setattr(profile, field, value)
        try:
            self.managed_hsms[name.lower()] = check_managed_hsm(profile)
        except UsageError as error:
            raise BadChange(str(error)) from error
        return profile

    def change_settings(self, body: Any) -> None:
        """Change settings until the next start or reset."""
        changes = checked_changes(body, type(self.settings), set())
        if not 1 <= changes.get("page_size", 1) <= 25:
            raise BadChange("'page_size' is 1 to 25.")
        for field, value in changes.items():
            setattr(self.settings, field, value)

    def reset(self) -> None:
        """Back to the seed: no keys, the command line's clients, vaults and settings, no faults."""
        for field in fields(self.options.settings):
            setattr(self.settings, field.name, getattr(self.options.settings, field.name))
        for table in (self.clients, self.issuers, self.subscriptions, self.managed_hsms, self.domains):
            table.clear()
        self._seed()
        self._granted_at.clear()
        self._vault_changes.clear()
        self._changes_file.unlink(missing_ok=True)
        for profile in self.options.vaults:
            vault = self.vaults[profile.name.lower()]
            vault.wipe()
            for field in fields(profile):
                setattr(vault.profile, field.name, deepcopy(getattr(profile, field.name)))
        self.faults.faults.clear()
        self.request_log.clear()
