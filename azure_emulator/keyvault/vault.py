"""One vault: its keys, the soft-delete state machine and its files.

Owns which state a key name is in and every move between states. Source: docs/azure.md,
"Lifecycle". Must not parse requests or format answers.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

from azure_emulator import storage
from azure_emulator.keyvault import errors
from azure_emulator.keyvault.formatting import KeyFormatter
from azure_emulator.keyvault.model import KeyRecord, KeyVersion
from azure_emulator.profiles import Settings, VaultProfile

SECONDS_PER_DAY = 86_400
DEFAULT_RETENTION = 90


class Vault:
    """The keys of one vault, in memory and on disk."""

    def __init__(self, profile: VaultProfile, settings: Settings, directory: Path) -> None:
        self.profile = profile
        self.settings = settings
        self.keys: dict[str, KeyRecord] = {}
        self.recent_creates: dict[bool, deque[float]] = {True: deque(), False: deque()}
        self._directory = directory
        self._purging: dict[str, float] = {}
        self._load()

    def _load(self) -> None:
        for path in sorted(self._directory.glob("*.json")):
            try:
                record = KeyRecord.from_json(storage.read_json(path))
            except (TypeError, KeyError, AttributeError) as error:
                raise storage.BrokenState(f"The state file {path} has lost its form; remove it.") from error
            self.keys[record.name.lower()] = record

    def _file(self, record: KeyRecord) -> Path:
        return self._directory / f"{record.name.lower()}.json"

    def save(self, record: KeyRecord) -> None:
        """Keep a record, in memory and on disk."""
        self.keys[record.name.lower()] = record
        storage.write_json(self._file(record), record.to_json())

    def _forget(self, record: KeyRecord) -> None:
        self.keys.pop(record.name.lower(), None)
        self._file(record).unlink(missing_ok=True)

    def wipe(self) -> None:
        """Delete all keys, even protected ones."""
        for record in list(self.keys.values()):
            self._forget(record)
        self._purging.clear()
        for recent in self.recent_creates.values():
            recent.clear()

    @property
    def soft_delete(self) -> bool:
        """Whether deleted keys can come back."""
        return self.profile.retention_days > 0

    @property
    def recovery_level(self) -> str:
        """How the vault protects deleted keys, as answers state it."""
        if not self.soft_delete:
            return "Purgeable"
        word = "Recoverable" if self.profile.retention_days == DEFAULT_RETENTION else "CustomizedRecoverable"
        return word if self.profile.purge_protection else f"{word}+Purgeable"

    def formatter(self, base: str, api_version: str) -> KeyFormatter:
        """Describe keys to a client that used this address and api-version."""
        return KeyFormatter(base, self.recovery_level, self.profile.retention_days, api_version)

    def now(self) -> float:
        """The time on the vault's clock, for stamps and expiry. Settling uses the machine's clock."""
        return time.time() + self.settings.clock_skew_seconds

    def _settle(self, which: str) -> float:
        own = getattr(self.profile, f"{which}_settle")
        return float(own if own is not None else getattr(self.settings, f"{which}_settle"))

    def _record(self, name: str) -> KeyRecord | None:
        """The record in any state; None when its retention has ended."""
        record = self.keys.get(name.lower())
        if record is not None and record.purge_at is not None and record.purge_at <= self.now():
            self._forget(record)
            return None
        return record

    def live_records(self) -> list[KeyRecord]:
        """All live keys, sorted by name."""
        now = time.time()
        found = [record for record in self.keys.values() if record.deleted_at is None and record.settles_at <= now]
        return sorted(found, key=lambda record: record.name.lower())

    def deleted_records(self) -> list[KeyRecord]:
        """All deleted keys whose deletion has settled, sorted by name."""
        now = time.time()
        found = [
            record
            for record in list(self.keys.values())
            if self._record(record.name) is record and record.deleted_at is not None and record.settles_at <= now
        ]
        return sorted(found, key=lambda record: record.name.lower())

    def find_live(self, name: str) -> KeyRecord | None:
        """The live key of this name; None when there is none."""
        record = self._record(name)
        if record is None or record.deleted_at is not None or record.settles_at > time.time():
            return None
        return record

    def live(self, name: str, version: str = "") -> KeyRecord:
        """The live key of this name, or 404."""
        record = self.find_live(name)
        if record is None:
            raise errors.key_not_found(f"{name}/{version}" if version else name)
        return record

    def live_version(self, name: str, version: str) -> tuple[KeyRecord, KeyVersion]:
        """One version of a live key, the current one when none is named."""
        record = self.live(name, version)
        if not version:
            return record, record.current()
        found = record.versions.get(version.lower())
        if found is None:
            raise errors.key_not_found(f"{name}/{version}")
        return record, found

    def deleted(self, name: str) -> KeyRecord:
        """The deleted key of this name, or 404."""
        record = self._record(name)
        if record is None or record.deleted_at is None or record.settles_at > time.time():
            raise errors.deleted_key_not_found(name)
        return record

    def check_writable(self, name: str) -> KeyRecord | None:
        """Return the live record to add a version to, None when the name is free; otherwise raise 409."""
        record = self._record(name)
        if record is None:
            if self._purging.get(name.lower(), 0.0) > time.time():
                raise errors.being_deleted()
            self._purging.pop(name.lower(), None)
            return None
        settling = record.settles_at > time.time()
        if record.deleted_at is not None:
            raise errors.being_deleted() if settling else errors.deleted_but_recoverable(record.name)
        if settling:
            raise errors.being_recovered()
        return record

    def check_settled(self, name: str) -> None:
        """Raise 409 while a recovery settles; a write must not get a 404 then."""
        record = self._record(name)
        if record is not None and record.deleted_at is None and record.settles_at > time.time():
            raise errors.being_recovered()

    def delete(self, name: str) -> KeyRecord:
        """Move a live key to the deleted state, or drop it where soft delete is off."""
        self.check_settled(name)
        record = self.live(name)
        if not self.soft_delete:
            self._forget(record)
            return record
        record.deleted_at = int(self.now())
        record.purge_at = record.deleted_at + self.profile.retention_days * SECONDS_PER_DAY
        record.settles_at = time.time() + self._settle("delete")
        self.save(record)
        return record

    def _settled_deleted(self, name: str) -> KeyRecord:
        record = self._record(name)
        if record is not None and record.deleted_at is not None and record.settles_at > time.time():
            raise errors.being_deleted()
        return self.deleted(name)

    def recover(self, name: str) -> KeyRecord:
        """Move a deleted key back to the live state."""
        try:
            record = self._settled_deleted(name)
        except errors.ServiceError as error:
            # The service's text is the same as for a live key.
            raise errors.key_not_found(name) if error.status == 404 else error from error
        record.deleted_at = record.purge_at = None
        record.settles_at = time.time() + self._settle("recover")
        self.save(record)
        return record

    def purge(self, name: str) -> None:
        """Drop a deleted key, unless the vault protects it."""
        record = self._settled_deleted(name)
        if self.profile.purge_protection:
            raise errors.purge_protected(self.profile.name, self.profile.location)
        self._forget(record)
        settle = self._settle("purge")
        if settle:
            self._purging[name.lower()] = time.time() + settle
