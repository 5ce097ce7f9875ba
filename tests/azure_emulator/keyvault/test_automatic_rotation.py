"""Rotation that a policy makes due, of imported keys too."""

from __future__ import annotations

import pytest
from azure.keyvault.keys import JsonWebKey, KeyClient, KeyRotationLifetimeAction, KeyRotationPolicy, KeyVaultKey

from tests.azure_emulator.blobs import blob_for, rsa_key
from tests.azure_emulator.harness import Emulator

DAY = 86_400


def rotate_after(keys: KeyClient, name: str, **trigger: str) -> None:
    action = KeyRotationLifetimeAction("Rotate", **trigger)
    keys.update_key_rotation_policy(name, KeyRotationPolicy(), lifetime_actions=[action], expires_in="P90D")


def advance(emulator: Emulator, days: int) -> None:
    emulator.control("POST", "settings", {"clock_skew_seconds": days * DAY})


@pytest.fixture
def pushed(keys: KeyClient, kek: KeyVaultKey) -> KeyVaultKey:
    blob = blob_for(kek, rsa_key()).encoded()
    return keys.import_key("pushed", JsonWebKey(kty="RSA-HSM", t=blob), tags={"a": "b"})


def test_an_imported_key_gets_a_version_the_source_does_not_know(
    emulator: Emulator, keys: KeyClient, pushed: KeyVaultKey
):
    rotate_after(keys, "pushed", time_after_create="P30D")
    advance(emulator, 29)
    assert keys.get_key("pushed").id == pushed.id
    advance(emulator, 31)
    new = keys.get_key("pushed")
    assert (new.key.n != pushed.key.n, new.key_type, new.properties.tags) == (True, "RSA-HSM", {"a": "b"})
    assert keys.get_key("pushed").id == new.id
    assert len(list(keys.list_properties_of_key_versions("pushed"))) == 2
    advance(emulator, 62)
    assert len(list(keys.list_properties_of_key_versions("pushed"))) == 3


def test_a_trigger_before_expiry_counts_from_the_expiry(emulator: Emulator, keys: KeyClient):
    old = keys.create_ec_key("k")
    rotate_after(keys, "k", time_before_expiry="P10D")
    advance(emulator, 365)
    assert keys.get_key("k").id == old.id
    advance(emulator, 0)
    dated = keys.rotate_key("k")
    advance(emulator, 79)
    assert keys.get_key("k").id == dated.id
    advance(emulator, 81)
    assert keys.get_key("k").id != dated.id


def test_a_notification_rotates_nothing(emulator: Emulator, keys: KeyClient, pushed: KeyVaultKey):
    keys.update_key_rotation_policy("pushed", KeyRotationPolicy(), expires_in="P90D")
    advance(emulator, 365)
    assert keys.get_key("pushed").id == pushed.id


def test_all_that_is_due_can_be_rotated_at_once(emulator: Emulator, keys: KeyClient):
    for name in ("a", "b", "c"):
        keys.create_ec_key(name)
    rotate_after(keys, "a", time_after_create="P30D")
    rotate_after(keys, "c", time_after_create="P30D")
    advance(emulator, 31)
    assert emulator.control("POST", "vaults/kv-premium/rotations") == {"rotated": ["a", "c"]}
    assert emulator.control("POST", "vaults/kv-premium/rotations") == {"rotated": []}


def test_what_a_policy_denies_is_not_rotated(emulator: Emulator, keys: KeyClient):
    old = keys.create_ec_key("k")
    rotate_after(keys, "k", time_after_create="P30D")
    emulator.control("POST", "vaults/kv-premium", {"policies": [{"policy": "hsm_backed"}]})
    advance(emulator, 31)
    assert keys.get_key("k").id == old.id
