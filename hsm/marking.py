"""Makes and checks marks in the device, with the handle of its integrity key. What they cover: ``hsm.marks``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pkcs11 import Mechanism

from hsm import keys
from hsm.marks import MARK_BYTES, KeyFacts, encode
from hsm.types import KeySpec, MarkedKey

HMAC = Mechanism.SHA256_HMAC


def make(integrity: Any, texts: Sequence[bytes]) -> list[bytes]:
    """Return the marks of texts."""
    return [bytes(integrity.sign(text, mechanism=HMAC)) for text in texts]


def check(integrity: Any, claims: Sequence[tuple[bytes, bytes]]) -> list[bool]:
    """Return for each text and mark whether the mark is that of the text. The device compares."""
    return [len(mark) == MARK_BYTES and bool(integrity.verify(text, mark, mechanism=HMAC)) for text, mark in claims]


def generate(session: Any, pmk: Any, integrity: Any, spec: KeySpec, *, key_id: UUID, group_id: UUID) -> MarkedKey:
    """Make a key pair for a row, and the mark that ties both halves to it."""
    made = keys.generate(session, pmk, spec)
    facts = KeyFacts(
        id=key_id,
        group_id=group_id,
        key_spec=spec.value,
        wrapped_private=made.wrapped_private,
        public_spki=made.public_spki,
    )
    (mark,) = make(integrity, [encode(facts)])
    return MarkedKey(made.public_spki, made.wrapped_private, mark)
