"""What the device's marks cover of key groups and keys."""

from __future__ import annotations

from hsm.marks import KeyFacts
from keygroups.models import Key


def facts_of_key(key: Key) -> KeyFacts:
    """Return what the mark of a key covers, as its row has it."""
    return KeyFacts(
        id=key.pk,
        group_id=key.group_id,
        key_spec=key.key_spec,
        wrapped_private=bytes(key.wrapped_private),
        public_spki=bytes(key.public_spki),
    )
