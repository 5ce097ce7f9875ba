"""The JSON by which keys are described to clients.

Owns KeyBundle, KeyItem and the members of deleted keys, as each api-version shows them.
Must not decide whether anything is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from azure_emulator.keyvault import api_versions
from azure_emulator.keyvault.model import KeyRecord, KeyVersion


@dataclass(frozen=True)
class KeyFormatter:
    """Describes keys to one client: by the address it used and in the form of its api-version."""

    base: str
    recovery_level: str
    recoverable_days: int
    api_version: str

    def key_id(self, record: KeyRecord, version: KeyVersion | None = None) -> str:
        """The key's id, with the version where one is given."""
        tail = f"/{version.version}" if version else ""
        return f"{self.base}/keys/{record.name}{tail}"

    def attributes(self, version: KeyVersion) -> dict[str, Any]:
        """The attributes of one version as answers show them."""
        shown: dict[str, Any] = {"enabled": version.enabled}
        if version.rsa_bits is not None and self._has(api_versions.KEY_SIZE):
            shown["key_size"] = version.rsa_bits
        if version.nbf is not None:
            shown["nbf"] = version.nbf
        if version.exp is not None:
            shown["exp"] = version.exp
        shown |= {"created": version.created, "updated": version.updated, "recoveryLevel": self.recovery_level}
        later = {
            "recoverableDays": (api_versions.RECOVERABLE_DAYS, self.recoverable_days),
            "exportable": (api_versions.EXPORTABLE, version.exportable),
            "hsmPlatform": (api_versions.HSM_PLATFORM, version.hsm_platform),
        }
        return shown | {name: value for name, (first, value) in later.items() if self._has(first)}

    def _has(self, first: str) -> bool:
        return api_versions.is_at_least(self.api_version, first)

    def bundle(self, record: KeyRecord, version: KeyVersion) -> dict[str, Any]:
        """The full description of one version: KeyBundle."""
        key = {"kid": self.key_id(record, version), "kty": version.kty, "key_ops": list(version.key_ops)}
        shown: dict[str, Any] = {"key": key | version.public, "attributes": self.attributes(version)}
        if version.tags:
            shown["tags"] = dict(version.tags)
        if version.release_policy and self._has(api_versions.RELEASE):
            shown["release_policy"] = dict(version.release_policy)
        return shown

    def item(self, record: KeyRecord, version: KeyVersion, *, with_version: bool) -> dict[str, Any]:
        """The short description used in listings: KeyItem."""
        shown: dict[str, Any] = {
            "kid": self.key_id(record, version if with_version else None),
            "attributes": self.attributes(version),
        }
        if version.tags:
            shown["tags"] = dict(version.tags)
        return shown

    def deletion(self, record: KeyRecord) -> dict[str, Any]:
        """What a deleted key adds in front of its description."""
        return {
            "recoveryId": f"{self.base}/deletedkeys/{record.name}",
            "deletedDate": record.deleted_at,
            "scheduledPurgeDate": record.purge_at,
        }
