"""Plain types of the device layer. No PKCS#11 here, so every layer above may import them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# KEK size by the strength of what it carries (NIST SP 800-57 Part 1, table 2).
_KEK_BITS = {"RSA-2048": 2048, "RSA-3072": 3072, "P-256": 3072}


class KeySpec(StrEnum):
    """A key's type and size: what the HSM makes and a Premium vault accepts."""

    RSA_2048 = "RSA-2048"
    RSA_3072 = "RSA-3072"
    RSA_4096 = "RSA-4096"
    P_256 = "P-256"
    P_384 = "P-384"
    P_521 = "P-521"
    P_256K = "P-256K"

    @property
    def is_rsa(self) -> bool:
        """Return whether this is an RSA key."""
        return self.value.startswith("RSA")

    @property
    def azure_kty(self) -> str:
        """Return Azure's key type of a pushed key."""
        return "RSA-HSM" if self.is_rsa else "EC-HSM"

    @property
    def curve(self) -> str:
        """Return Azure's curve name, "" for RSA."""
        return "" if self.is_rsa else self.value

    @property
    def bits(self) -> int:
        """Return the modulus or field size in bits."""
        return int(self.value.rstrip("K").partition("-")[2])

    @property
    def kek_bits(self) -> int:
        """Return the size of the KEK that carries this key, in bits."""
        return _KEK_BITS.get(self.value, 4096)


@dataclass(frozen=True)
class GeneratedKey:
    """A new key: public half as DER SubjectPublicKeyInfo, private half wrapped under the PMK."""

    public_spki: bytes
    wrapped_private: bytes


@dataclass(frozen=True)
class MarkedKey:
    """A new key as above, with the device's mark on it (``hsm.marks``)."""

    public_spki: bytes
    wrapped_private: bytes
    mark: bytes


@dataclass(frozen=True)
class DeviceCertificate:
    """A certificate in PEM whose private key was made in the device; the key comes wrapped under the PMK."""

    pem: str
    wrapped_private: bytes


@dataclass(frozen=True)
class DeviceIdentity:
    """Which token this is. ``sentinel_hash`` is the SHA-256 of the sentinel's public half, hex."""

    serial: str
    label: str
    manufacturer: str
    model: str
    firmware: str
    sentinel_hash: str
    mechanisms: tuple[str, ...]


@dataclass(frozen=True)
class MajorKey:
    """A major key and its key check value, by which two devices are compared."""

    name: str
    algorithm: str
    check_value: str


@dataclass(frozen=True)
class SelfTestResult:
    """One part of the self-test."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class ReportSignature:
    """ECDSA over SHA-256 by the device's report key: DER signature, and the public half as DER SPKI."""

    signature: bytes
    public_spki: bytes
