"""Everything the stand-in remembers: vaults, clients, settings, faults, the request_log.

Owns start, reset and the file of run-time changes. Must not answer requests.
"""

from __future__ import annotations

import secrets
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

from azure_emulator import storage
from azure_emulator.faults import FaultList
from azure_emulator.identity.clients import Client, seeded_clients, upsert
from azure_emulator.identity.tokens import TokenSigner
from azure_emulator.keyvault.pool import KeyPool
from azure_emulator.keyvault.vault import Vault
from azure_emulator.options import Options, UsageError, VaultProfile, check_profile
from azure_emulator.request_log import RequestLog

FIXED_VAULT_FIELDS = {"name", "port"}
SIGNED = {"clock_skew_seconds", "date_skew_seconds"}


class BadChange(Exception):
    """A run-time change makes no sense; the text says why."""


class State:
    """The whole state of one running stand-in."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.settings = deepcopy(options.settings)
        self.signer = TokenSigner(options.state_dir)
        self.faults = FaultList()
        self.request_log = RequestLog()
        self.pool = KeyPool(options.key_pool)
        self.clients: dict[str, Client] = seeded_clients()
        self.vaults: dict[str, Vault] = {}
        self._changes: dict[str, dict[str, Any]] = {}
        self.backup_key = self._load_backup_key()
        self._load_changes()
        for profile in options.vaults:
            self._open_vault(deepcopy(profile))

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
            self._changes = {str(name): dict(change) for name, change in stored["vaults"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise storage.BrokenState(f"The state file {self._changes_file} has lost its form; remove it.") from error

    def _save_changes(self) -> None:
        clients = [client.to_json() for client in self.clients.values()]
        storage.write_json(self._changes_file, {"clients": clients, "vaults": self._changes})

    def _open_vault(self, profile: VaultProfile) -> None:
        for name, value in self._changes.get(profile.name.lower(), {}).items():
            setattr(profile, name, value)
        directory = storage.private_directory(self.options.state_dir / "vaults" / profile.name.lower())
        self.vaults[profile.name.lower()] = Vault(profile, self.settings, directory)

    def change_client(self, body: Any) -> Client:
        """Make or change a client and keep that."""
        client = upsert(self.clients, body)
        self._save_changes()
        return client

    def change_vault(self, name: str, body: Any) -> VaultProfile:
        """Change a vault and keep that."""
        vault = self.vaults.get(name.lower())
        if vault is None:
            raise BadChange(f"There is no vault '{name}'.")
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
        self._changes.setdefault(name.lower(), {}).update(changes)
        self._save_changes()
        return vault.profile

    def change_settings(self, body: Any) -> None:
        """Change settings until the next start or reset."""
        changes = checked_changes(body, type(self.settings), set())
        if not 1 <= changes.get("page_size", 1) <= 25:
            raise BadChange("'page_size' is 1 to 25.")
        for field, value in changes.items():
            setattr(self.settings, field, value)

    def reset(self) -> None:
        """Back to the seed: no keys, one client, the command line's vaults and settings, no faults."""
        for field in fields(self.options.settings):
            setattr(self.settings, field.name, getattr(self.options.settings, field.name))
        self.clients.clear()
        self.clients.update(seeded_clients())
        self._changes.clear()
        self._changes_file.unlink(missing_ok=True)
        for profile in self.options.vaults:
            vault = self.vaults[profile.name.lower()]
            vault.wipe()
            for field in fields(profile):
                setattr(vault.profile, field.name, getattr(profile, field.name))
        self.faults.faults.clear()
        self.request_log.clear()


def checked_changes(body: Any, kind: type, fixed: set[str]) -> dict[str, Any]:
    """The members of a JSON object that are fields of ``kind``, with types looked at."""
    if not isinstance(body, dict):
        raise BadChange("A JSON object is needed.")
    known = {field.name: str(field.type) for field in fields(kind)}
    changes: dict[str, Any] = {}
    for name, value in body.items():
        if name not in known or name in fixed:
            raise BadChange(f"'{name}' can't be changed here.")
        if value is None and "None" not in known[name]:
            raise BadChange(f"'{name}' needs a value.")
        changes[name] = converted(name, value, known[name])
    return changes


def converted(name: str, value: Any, kind: str) -> Any:
    """One member in the type its field wants."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is None:
        return None
    if kind.startswith("bool") and isinstance(value, bool):
        return value
    if kind.startswith("int") and is_number and value >= 0:
        return int(value)
    if kind.startswith("float") and is_number and (value >= 0 or name in SIGNED):
        return float(value)
    if kind.startswith("str") and isinstance(value, str):
        return value
    raise BadChange(f"'{name}' has the wrong type.")
