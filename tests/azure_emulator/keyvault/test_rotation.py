"""Rotation by the service, its policy, and the limit on making keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import JsonWebKey, KeyClient, KeyRotationLifetimeAction, KeyRotationPolicy, KeyVaultKey

from tests.azure_emulator.blobs import blob_for, rsa_key
from tests.azure_emulator.harness import Emulator

NOTIFY = {"trigger": {"timeBeforeExpiry": "P30D"}, "action": {"type": "Notify"}}


def rotate_action(**trigger: str) -> dict[str, Any]:
    return {"trigger": trigger, "action": {"type": "Rotate"}}


def test_rotation_makes_new_material_and_keeps_the_rest(keys: KeyClient):
    old = keys.create_rsa_key("k", size=3072, hardware_protected=True, key_operations=["sign"], tags={"a": "b"})
    new = keys.rotate_key("k")
    assert (new.key_type, len(new.key.n)) == ("RSA-HSM", 384)
    assert (new.key_operations, new.properties.tags) == (["sign"], {"a": "b"})
    assert new.key.n != old.key.n
    assert keys.get_key("k").id == new.id


def test_an_ec_key_rotates_on_its_curve(keys: KeyClient):
    keys.create_ec_key("k", curve="P-384")
    assert keys.rotate_key("k").key.crv == "P-384"


def test_the_policy_gives_the_new_version_its_expiry(keys: KeyClient):
    keys.create_rsa_key("k")
    keys.update_key_rotation_policy("k", KeyRotationPolicy(), expires_in="P90D")
    new = keys.rotate_key("k").properties
    assert new.expires_on - new.created_on == timedelta(days=90)


def test_the_default_policy_notifies_thirty_days_before(emulator: Emulator, keys: KeyClient):
    keys.create_rsa_key("k")
    found = emulator.raw("GET", "/keys/k/rotationpolicy").json()
    assert found == {"lifetimeActions": [NOTIFY], "attributes": None}


def test_a_policy_without_expiry_leaves_the_member_out(emulator: Emulator, keys: KeyClient):
    keys.create_rsa_key("k")
    policy = {"lifetimeActions": [rotate_action(timeAfterCreate="P90D")], "attributes": {}}
    found = emulator.raw("PUT", "/keys/k/rotationpolicy", json=policy).json()
    assert found["id"] == f"{emulator.url()}/keys/k/rotationpolicy"
    assert set(found["attributes"]) == {"created", "updated"}
    assert emulator.raw("GET", "/keys/k/rotationpolicy").json() == found


def test_a_policy_with_only_rotate_gains_the_notification(keys: KeyClient):
    keys.create_rsa_key("k")
    action = KeyRotationLifetimeAction("rotate", time_after_create="P18M")
    policy = keys.update_key_rotation_policy("k", KeyRotationPolicy(), lifetime_actions=[action], expires_in="P2Y")
    assert [
        (entry.action.lower(), entry.time_after_create, entry.time_before_expiry) for entry in policy.lifetime_actions
    ] == [
        ("rotate", "P18M", None),
        ("notify", None, "P30D"),
    ]
    again = keys.get_key_rotation_policy("k")
    assert (again.expires_in, again.created_on) == ("P2Y", policy.created_on)


@pytest.mark.parametrize(
    "policy",
    [
        {"attributes": {"expiryTime": "P27D"}},
        {"attributes": {"expiryTime": "soon"}},
        {"attributes": {"expiryTime": "P90D\n"}},
        {"attributes": {"expiryTime": "P\u0669\u0660D"}},
        {"attributes": {"expiryTime": "P" + "9" * 5000 + "D"}},
        {"attributes": {"expiryTime": "P9000Y"}},
        {"attributes": {"expiryTime": 0}},
        {"attributes": {"expiryTime": False}},
        {"attributes": {"expiryTime": []}},
        {"attributes": []},
        {"attributes": ""},
        {"lifetimeActions": ""},
        {"lifetimeActions": [rotate_action(timeAfterCreate="P6D")]},
        {"lifetimeActions": [rotate_action(timeBeforeExpiry="P30D")]},
        {"lifetimeActions": [rotate_action()]},
        {"lifetimeActions": [rotate_action(timeAfterCreate="P90D", timeBeforeExpiry="P30D")]},
        {"lifetimeActions": [rotate_action(timeAfterCreate="P90D")] * 2},
        {"lifetimeActions": [rotate_action(timeAfterCreate="P90D")], "attributes": {"expiryTime": "P60D"}},
        {"lifetimeActions": [{"trigger": {"timeAfterCreate": "P90D"}, "action": {"type": "Notify"}}]},
        {"lifetimeActions": [{"trigger": {"timeAfterCreate": "P90D"}, "action": {"type": "Explode"}}]},
        {"lifetimeActions": ["x"]},
        {"lifetimeActions": {}},
    ],
)
def test_a_bad_policy_is_400(emulator: Emulator, keys: KeyClient, policy: dict[str, Any]):
    keys.create_rsa_key("k")
    assert emulator.raw("PUT", "/keys/k/rotationpolicy", json=policy).status_code == 400


def push(keys: KeyClient, kek: KeyVaultKey) -> KeyVaultKey:
    blob = blob_for(kek, rsa_key()).encoded()
    return keys.import_key("pushed", JsonWebKey(kty="RSA-HSM", t=blob), hardware_protected=True)


def test_imported_material_is_not_rotated_unless_switched_on(emulator: Emulator, keys: KeyClient, kek: KeyVaultKey):
    pushed = push(keys, kek)
    with pytest.raises(HttpResponseError) as caught:
        keys.rotate_key("pushed")
    assert (caught.value.status_code, caught.value.error.code) == (400, "BadParameter")
    assert keys.update_key_rotation_policy("pushed", KeyRotationPolicy(), expires_in="P90D").expires_in == "P90D"
    emulator.control("POST", "settings", {"allow_rotate_imported": True})
    assert keys.rotate_key("pushed").key.n != pushed.key.n


def test_ten_hsm_keys_in_ten_seconds_are_the_limit(emulator: Emulator, keys: KeyClient, kek: KeyVaultKey):
    emulator.control("POST", "vaults/kv-premium", {"throttle": True})
    for number in range(9):
        keys.create_ec_key(f"k{number}", hardware_protected=True)
    push(keys, kek)
    for _ in range(2):
        with pytest.raises(HttpResponseError) as caught:
            push(keys, kek)
        assert (caught.value.status_code, caught.value.error.code) == (429, "Throttled")
        assert "retry-after" not in caught.value.response.headers
    with pytest.raises(HttpResponseError, match="VaultRequestTypeLimitReached"):
        keys.rotate_key("k1")
    assert keys.create_ec_key("soft").name == "soft"
    assert keys.get_key("k1").name == "k1"
    assert emulator.keys("kv-protected").create_ec_key("k", hardware_protected=True).name == "k"


def test_twenty_software_keys_are_the_limit_and_the_switch_is_for_all_vaults(emulator: Emulator, keys: KeyClient):
    emulator.control("POST", "settings", {"throttle": True})
    for _ in range(20):
        keys.create_ec_key("k")
    with pytest.raises(HttpResponseError) as caught:
        keys.create_ec_key("k")
    assert caught.value.status_code == 429
