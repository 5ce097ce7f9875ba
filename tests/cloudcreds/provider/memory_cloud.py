"""A tiny cloud in memory: vaults with strict rules of their own, which no product code wrote.

It really unwraps what is imported, so a wrong transfer blob is refused. It shares no line with the
stand-in for Azure and none with the product. ``memory_provider`` makes it a provider.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
KEK_BITS = frozenset({2048, 3072, 4096})
CURVES = {"P-256": "secp256r1", "P-384": "secp384r1", "P-521": "secp521r1", "P-256K": "secp256k1"}
OPERATIONS = {"RSA": {"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"}, "EC": {"sign", "verify"}}
PERMISSIONS = frozenset(
    {"get", "list", "create", "import", "update", "delete", "recover", "purge", "sign"}
    | {"getrotationpolicy", "setrotationpolicy"}
)
RETENTION = timedelta(days=90)
MAX_TAGS, MAX_TAG = 15, 256
SPKI = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


class Refused(Exception):
    """The cloud's answer to a request that it does not fulfil; ``code`` is its own word for the reason."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(text or code)
        self.code, self.text = code, text or code


class AnswerLost(Exception):
    """The connection broke before the answer came."""


@dataclass
class Version:
    """One version of a key, with its private half."""

    id: str
    private: object
    operations: tuple[str, ...]
    enabled: bool
    expires_on: datetime | None
    tags: dict[str, str]
    created_on: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    not_before: datetime | None = None

    @property
    def spki(self) -> bytes:
        return self.private.public_key().public_bytes(*SPKI)

    @property
    def family(self) -> str:
        return "RSA" if isinstance(self.private, rsa.RSAPrivateKey) else "EC"


@dataclass
class Vault:
    """One vault: its live keys and its deleted ones, by name in lower case, oldest version first."""

    name: str
    holds_hsm_keys: bool = True
    purge_protected: bool = False
    keys: dict[str, list[Version]] = field(default_factory=dict)
    deleted: dict[str, tuple[datetime, list[Version]]] = field(default_factory=dict)
    # What the cloud does to a key by itself, by the key's name.
    rotation: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://{self.name}.memory.test"

    # --- reading -----------------------------------------------------------------------------
    def versions(self, name: str) -> list[Version]:
        return self.keys.get(name.lower(), [])

    def version(self, name: str, version: str = "") -> Version:
        for each in reversed(self.versions(name)):
            if version in {"", each.id}:
                return each
        raise Refused("missing", f"there is no {name} {version}".strip())

    # --- changing ----------------------------------------------------------------------------
    def create_kek(self, name: str, bits: int, *, expires_on: datetime, tags: dict[str, str]) -> Version:
        if not self.holds_hsm_keys:
            raise Refused("no_hsm")
        if bits not in KEK_BITS:
            raise Refused("bad_request", f"no key-encryption key has {bits} bits")
        if expires_on <= datetime.now(UTC):
            raise Refused("bad_request", "a key-encryption key that has expired is of no use")
        private = rsa.generate_private_key(65537, bits)
        return self._add(name, private, operations=("import",), enabled=True, expires_on=expires_on, tags=tags)

    def import_key(
        self,
        name: str,
        *,
        spec: str,
        blob: bytes,
        operations: list[str],
        enabled: bool,
        expires_on: datetime | None,
        tags: dict[str, str],
    ) -> Version:
        private = self._unwrap(blob)
        if _spec_of(private) != spec:
            raise Refused("bad_request", f"the blob holds a key of another type than {spec}")
        family = "RSA" if isinstance(private, rsa.RSAPrivateKey) else "EC"
        if not operations or set(operations) - OPERATIONS[family]:
            raise Refused("bad_request", f"{family} keys can't have the operations {operations}")
        return self._add(name, private, operations=tuple(operations), enabled=enabled, expires_on=expires_on, tags=tags)

    def update(self, name: str, version: str, **changes: object) -> Version:
        found = self.version(name, version)
        operations = changes.get("operations")
        if operations is not None and set(operations) - OPERATIONS[found.family]:
            raise Refused("bad_request", f"{found.family} keys can't have the operations {operations}")
        _check_tags(changes.get("tags") or {})
        for attribute, value in changes.items():
            setattr(found, attribute, tuple(value) if attribute == "operations" else value)
        return found

    def delete(self, name: str) -> datetime:
        if name.lower() in self.deleted:
            raise Refused("deleted")
        self.version(name)
        at = datetime.now(UTC).replace(microsecond=0)
        self.deleted[name.lower()] = (at, self.keys.pop(name.lower()))
        return at

    def recover(self, name: str) -> None:
        if name.lower() not in self.deleted:
            raise Refused("missing", f"there is no deleted key {name}")
        self.keys[name.lower()] = self.deleted.pop(name.lower())[1]

    def purge(self, name: str) -> None:
        if name.lower() not in self.deleted:
            raise Refused("missing", f"there is no deleted key {name}")
        if self.purge_protected:
            raise Refused("protected")
        del self.deleted[name.lower()]

    def sign(self, name: str, version: str, message: bytes) -> bytes:
        found = self.version(name, version)
        if not found.enabled:
            raise Refused("disabled")
        if "sign" not in found.operations:
            raise Refused("bad_request", "this key can't sign")
        if found.family == "RSA":
            return found.private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        size = (found.private.key_size + 7) // 8
        digest = {48: hashes.SHA384(), 66: hashes.SHA512()}.get(size, hashes.SHA256())
        numbers = utils.decode_dss_signature(found.private.sign(message, ec.ECDSA(digest)))
        return b"".join(number.to_bytes(size) for number in numbers)

    # --- the rules ---------------------------------------------------------------------------
    def _add(self, name: str, private: object, **attributes: object) -> Version:
        if not NAME.fullmatch(name):
            raise Refused("bad_request", f"no key can be called {name!r}")
        _check_tags(attributes["tags"])
        if name.lower() in self.deleted:
            raise Refused("deleted")
        version = Version(secrets.token_hex(16), private, **attributes)
        self.keys.setdefault(name.lower(), []).append(version)
        return version

    def _unwrap(self, blob: bytes) -> object:
        """Return the private key in a transfer blob; anything but the one right form is refused."""
        try:
            parts = json.loads(blob)
            kid, ciphertext = parts.pop("kek"), base64.b64decode(parts.pop("wrapped"), validate=True)
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
            raise Refused("bad_request", "this is no transfer blob") from error
        kek = self._live_kek(kid)
        head = kek.private.key_size // 8
        if parts or len(ciphertext) <= head:
            raise Refused("bad_request", "the transfer blob has another form")
        oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
        try:
            wrapping = kek.private.decrypt(ciphertext[:head], oaep)
            der = keywrap.aes_key_unwrap_with_padding(wrapping, ciphertext[head:])
            private = serialization.load_der_private_key(der, None)
        except (ValueError, keywrap.InvalidUnwrap, InvalidSignature) as error:
            raise Refused("bad_request", "the transfer blob does not open with its key-encryption key") from error
        if len(wrapping) != 32:
            raise Refused("bad_request", "the one-time key is not one of AES-256")
        return private

    def _live_kek(self, kid: object) -> Version:
        for name, versions in self.keys.items():
            for version in versions:
                if kid == f"{self.url}/keys/{name}/{version.id}":
                    if version.operations != ("import",) or not version.enabled:
                        raise Refused("bad_request", "this key can't import")
                    if version.expires_on is None or version.expires_on <= datetime.now(UTC):
                        raise Refused("bad_request", "the key-encryption key has expired")
                    return version
        raise Refused("bad_request", f"there is no key-encryption key {kid}")


@dataclass
class MemoryCloud:
    """The whole cloud: its vaults, the one client that may sign in, what that may do, and what fails next.

    ``asked`` lists the operations that reached the cloud. ``failures`` are raised by the next mutating
    requests, one each: before their effect for Refused, after it for AnswerLost.
    """

    client_id: str = "memory-client"
    secret: str = "memory-secret"
    permitted: set[str] = field(default_factory=lambda: set(PERMISSIONS))
    vaults: dict[str, Vault] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def add_vault(self, name: str, **values: object) -> Vault:
        vault = Vault(name, **values)
        self.vaults[vault.url] = vault
        return vault

    def sign_in(self, client_id: str, secret: str) -> None:
        if client_id != self.client_id:
            raise Refused("wrong_client")
        if secret != self.secret:
            raise Refused("wrong_secret")

    def request(self, permission: str, effect, *, mutating: bool):
        """Do what a signed-in client asks for, unless a failure is due."""
        self.asked.append(permission)
        failure = self.failures.pop(0) if mutating and self.failures else None
        if isinstance(failure, Refused):
            raise failure
        if permission not in self.permitted:
            raise Refused("not_permitted", permission)
        answer = effect()
        if failure is not None:
            raise failure
        return answer


def _spec_of(private: object) -> str:
    if isinstance(private, rsa.RSAPrivateKey):
        return f"RSA-{private.key_size}"
    names = {curve: name for name, curve in CURVES.items()}
    return names.get(private.curve.name, "") if isinstance(private, ec.EllipticCurvePrivateKey) else ""


def _check_tags(tags: dict[str, str]) -> None:
    if len(tags) > MAX_TAGS or any(max(len(name), len(value)) > MAX_TAG for name, value in tags.items()):
        raise Refused("bad_request", "too many tags, or too long ones")
