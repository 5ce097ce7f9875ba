"""What a key is: its versions, its deletion, its rotation policy.

Owns the stored form. Must not decide whether anything is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from azure_emulator.keyvault.material import PrivateKey, from_pem, public_members, unb64url

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
    platform: str = ""

    def __post_init__(self) -> None:
        self._private: PrivateKey | None = None

    @property
    def is_hsm(self) -> bool:
        """Whether the key is kept in the HSM."""
        return self.kty.endswith(HSM_SUFFIX)

    @property
    def hsm_platform(self) -> str:
        """0 is software, 2 the platform of all new HSM keys (docs/azure.md, "HSM platform")."""
        return self.platform or ("2" if self.is_hsm else "0")

    @property
    def curve(self) -> str | None:
        """The curve of an EC key."""
        return self.public.get("crv")

    @property
    def rsa_bits(self) -> int | None:
        """The size of an RSA key's modulus."""
        return len(unb64url(self.public["n"])) * 8 if self.public.get("n") else None

    @property
    def private(self) -> PrivateKey:
        """The private key, parsed from PEM on first use; a foreign version has none."""
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
        # dataclasses.asdict would copy deeply, which costs more than the rest of an import.
        return vars(self) | {"versions": {name: version.to_json() for name, version in self.versions.items()}}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> KeyRecord:
        """Read the stored form back."""
        versions = {name: KeyVersion(**values) for name, values in stored["versions"].items()}
        return cls(**{**stored, "versions": versions})


def make_version(identifier: str, kty: str, private: PrivateKey, pem: str, now: int, origin: str) -> KeyVersion:
    """A version with this material and default properties."""
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
