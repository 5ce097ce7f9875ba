"""Marks: what the device vouches for of a row that makes it act, and how that is encoded. No device, no database.

A mark is an HMAC-SHA-256 (FIPS 198-1) by the integrity key, which never leaves the device. It covers the text that
``encode`` makes of a row's facts. Encoding, version 1: ``MAGIC``, then items: the kind of row, the number of the mark,
and the facts in the order in which their class declares them. An item is one byte for its type, four bytes for
the length of its content (big endian), and the content: ``s`` UTF-8, ``b`` bytes, ``l`` the items of a list.

Every item tells its length, and the facts of a kind are always the same, so two different rows never make one
text. Whoever changes the facts of a kind, or their order, needs another ``MAGIC``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

MAGIC = b"KMES mark 1\n"
SEAL_MAGIC = b"KMES seal 2\n"
MARK_BYTES = 32

Value = str | bytes | UUID | tuple[str, ...]


class RowKind(StrEnum):
    """The kinds of rows that carry marks. The values are part of what is marked: they never change."""

    KEY = "key"
    CREDENTIAL = "credential"
    VAULT = "vault"
    GROUP = "group"


@dataclass(frozen=True, kw_only=True)
class KeyFacts:
    """What a mark covers of a key: whose it is, and its material."""

    kind: ClassVar[RowKind] = RowKind.KEY

    id: UUID
    group_id: UUID
    key_spec: str
    wrapped_private: bytes
    public_spki: bytes


@dataclass(frozen=True, kw_only=True)
class CredentialFacts:
    """What a mark covers of a cloud credential: where it signs in, as whom, and by what.

    What is sealed or wrapped is named by its SHA-256 in hex; "" where the credential has none.
    """

    kind: ClassVar[RowKind] = RowKind.CREDENTIAL

    id: UUID
    service: str
    cloud: str
    tenant_id: str
    client_id: str
    sign_in: str
    authority_url: str
    arm_url: str
    # Of the sealed client secret.
    secret: str
    # Of the certificate in use (PEM), and of its sealed or wrapped private key.
    certificate: str
    certificate_key: str

    @property
    def place(self) -> tuple[str, ...]:
        """Where secrets of the credential are sent, and as whose; a seal binds it."""
        return (self.cloud, self.tenant_id, self.client_id, self.authority_url, self.arm_url)


@dataclass(frozen=True, kw_only=True)
class VaultFacts:
    """What a mark covers of a key vault: where it is, and who signs in there. They never change."""

    kind: ClassVar[RowKind] = RowKind.VAULT

    id: UUID
    credential_id: UUID
    # The credential's: its vaults are forgotten when it changes.
    cloud: str
    url: str


@dataclass(frozen=True, kw_only=True)
class GroupFacts:
    """What a mark covers of a key group: which key of which vault its keys become, and what they may do there."""

    kind: ClassVar[RowKind] = RowKind.GROUP

    id: UUID
    credential_id: UUID
    vault_id: UUID
    azure_name: str
    usage: tuple[str, ...]


DestinationFacts = CredentialFacts | VaultFacts | GroupFacts
Facts = KeyFacts | DestinationFacts


def seal_context(credential_id: UUID, holder: str, place: Sequence[str]) -> bytes:
    """Return the associated data of a seal: whose secret it is, what holds it, and the place where it may be sent.

    ``place`` is that of ``CredentialFacts``. The encoding is that of marks, with a ``MAGIC`` of its own.
    """
    values: list[Value] = [credential_id, holder, tuple(place)]
    return SEAL_MAGIC + b"".join(map(_item, values))


def digest(content: bytes | str) -> str:
    """Return how facts name something long: its SHA-256 in hex, "" for nothing."""
    raw = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(raw).hexdigest() if raw else ""


def encode(facts: Facts, *, number: int = 0) -> bytes:
    """Return the text that a mark covers.

    Args:
        facts: of the row.
        number: counts the saved states of a row that may change; 0 for rows that never do.

    """
    values: list[Value] = [facts.kind.value, str(number), *(getattr(facts, each.name) for each in fields(facts))]
    return MAGIC + b"".join(map(_item, values))


def _item(value: Value) -> bytes:
    match value:
        case UUID():
            return _with_length(b"s", str(value).encode())
        case str():
            return _with_length(b"s", value.encode())
        case bytes():
            return _with_length(b"b", value)
        case tuple():
            return _with_length(b"l", b"".join(map(_item, value)))
    raise TypeError(type(value).__name__)


def _with_length(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4) + content
