"""What a key is: its versions, its deletion, its rotation policy.

Owns the stored form and the JSON shown to clients. Must not decide whether anything
is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from azure_emulator.keyvault.material import PrivateKey, from_pem, public_members

HSM_SUFFIX = "-HSM"


@dataclass
class KeyVersion:
    """One version; ``sequence`` orders versions made within the same second."""

    version: str
    sequence: int
    kty: str
    key_ops: list[str]
    origin: str
    pem: str
    public: dict[str, str]
    created: int
    updated: int
    enabled: bool = True
    nbf: int | None = None
    exp: int | None = None
    exportable: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    release_policy: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self._private: PrivateKey | None = None

    @property
    def is_hsm(self) -> bool:
        """Whether it counts as kept in the HSM."""
        return self.kty.endswith(HSM_SUFFIX)

    @property
    def curve(self) -> str | None:
        """The curve of an EC key."""
        return self.public.get("crv")

    @property
    def private(self) -> PrivateKey:
        """The private key, read from its PEM on first use only: parsing costs time."""
        if self._private is None:
            self._private = from_pem(self.pem)
        return self._private

    def to_json(self) -> dict[str, Any]:
        """The stored form, private key included."""
        return {name: value for name, value in vars(self).items() if name != "_private"}


@dataclass
class KeyRecord:
    """A key name with all its versions; ``settles_at`` is when the last delete or recover shows."""

    name: str
    versions: dict[str, KeyVersion] = field(default_factory=dict)
    last_sequence: int = 0
    policy: dict[str, Any] | None = None
    deleted_at: int | None = None
    purge_at: int | None = None
    settles_at: float = 0.0

    def current(self) -> KeyVersion:
        """The newest created, even when disabled."""
        return max(self.versions.values(), key=lambda version: version.sequence)

    def add(self, version: KeyVersion) -> None:
        """Make this the newest version."""
        self.last_sequence += 1
        version.sequence = self.last_sequence
        self.versions[version.version] = version

    def to_json(self) -> dict[str, Any]:
        """The stored form of the key with all versions."""
        # Without dataclasses.asdict, whose deep copies cost more than the rest of an import.
        return vars(self) | {"versions": {name: version.to_json() for name, version in self.versions.items()}}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> KeyRecord:
        """Read the stored form back."""
        versions = {name: KeyVersion(**values) for name, values in stored["versions"].items()}
        return cls(**{**stored, "versions": versions})


def make_version(identifier: str, kty: str, private: PrivateKey, pem: str, now: int, origin: str) -> KeyVersion:
    """A version with this material and nothing else decided."""
    made = KeyVersion(
        version=identifier,
        sequence=0,
        kty=kty,
        key_ops=[],
        origin=origin,
        pem=pem,
        public=public_members(private),
        created=now,
        updated=now,
    )
    made._private = private
    return made


@dataclass(frozen=True)
class Shape:
    """What a vault adds to each answer: the address the client used and its recovery level."""

    base: str
    recovery_level: str
    recoverable_days: int

    def key_id(self, record: KeyRecord, version: KeyVersion | None = None) -> str:
        """The key's id, with the version where one is given."""
        tail = f"/{version.version}" if version else ""
        return f"{self.base}/keys/{record.name}{tail}"

    def attributes(self, version: KeyVersion) -> dict[str, Any]:
        """The attributes of one version as answers show them."""
        shown: dict[str, Any] = {"enabled": version.enabled}
        if version.nbf is not None:
            shown["nbf"] = version.nbf
        if version.exp is not None:
            shown["exp"] = version.exp
        return shown | {
            "created": version.created,
            "updated": version.updated,
            "recoveryLevel": self.recovery_level,
            "recoverableDays": self.recoverable_days,
            "exportable": version.exportable,
            "hsmPlatform": "2" if version.is_hsm else "0",
        }

    def bundle(self, record: KeyRecord, version: KeyVersion) -> dict[str, Any]:
        """The full description of one version: KeyBundle."""
        key = {"kid": self.key_id(record, version), "kty": version.kty, "key_ops": list(version.key_ops)}
        shown: dict[str, Any] = {"key": key | version.public, "attributes": self.attributes(version)}
        if version.tags:
            shown["tags"] = dict(version.tags)
        if version.release_policy:
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
