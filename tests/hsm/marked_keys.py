"""Keys of a device for its own tests: made there, marked, and checked as the product does."""

from __future__ import annotations

from dataclasses import replace

from hsm.mark_checks import check_keys
from hsm.marks import KeyFacts, encode
from kmes.core.ids import new_uuid


def make_key(device, spec):
    """The facts and the mark of a new key of the device."""
    key_id, group_id = new_uuid(), new_uuid()
    made = device.generate(spec, key_id=key_id, group_id=group_id)
    facts = KeyFacts(
        id=key_id,
        group_id=group_id,
        key_spec=spec.value,
        wrapped_private=made.wrapped_private,
        public_spki=made.public_spki,
    )
    return facts, made.mark


def verify(device, facts, mark):
    """What the check of one key answers."""
    (found,) = check_keys(device, [("one", facts, mark)])
    return found


def make_verified(device, spec, **changed):
    """A verified key of the device; what is ``changed`` about it was marked by the device as well."""
    facts, mark = make_key(device, spec)
    if changed:
        facts = replace(facts, **changed)
        (mark,) = device.mark([encode(facts)])
    return verify(device, facts, mark)
