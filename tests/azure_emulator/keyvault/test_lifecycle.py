"""A key's life through the SDK: create, read, change, list, versions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.keys import KeyClient, KeyReleasePolicy

from tests.azure_emulator.harness import Emulator

NOT_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
EXPIRES = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("size", [2048, 3072, 4096])
def test_rsa_keys_of_each_size_are_made(emulator: Emulator, keys: KeyClient, size: int):
    key = keys.create_rsa_key(f"R{size}", size=size, hardware_protected=True)
    assert key.id.startswith(f"{emulator.url()}/keys/R{size}/")
    assert (key.key_type, len(key.key.n) * 8, key.key.e) == ("RSA-HSM", size, b"\x01\x00\x01")
    assert key.key.kty == "RSA-HSM"
    assert key.key.d is None
    assert key.key_operations == ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]
    assert key.properties.hsm_platform == "2"


@pytest.mark.parametrize(("curve", "length"), [("P-256", 32), ("P-384", 48), ("P-521", 66), ("P-256K", 32)])
def test_ec_keys_of_each_curve_are_made(keys: KeyClient, curve: str, length: int):
    key = keys.create_ec_key("ec", curve=curve)
    assert (key.key_type, key.key.crv, len(key.key.x), len(key.key.y)) == ("EC", curve, length, length)
    assert key.key_operations == ["sign", "verify"]
    assert key.properties.hsm_platform == "0"


def test_attributes_and_tags_are_kept_and_nothing_is_inherited(keys: KeyClient):
    first = keys.create_rsa_key("k", enabled=False, not_before=NOT_BEFORE, expires_on=EXPIRES, tags={"a": "b"})
    assert (first.properties.enabled, first.properties.not_before, first.properties.expires_on) == (
        False,
        NOT_BEFORE,
        EXPIRES,
    )
    second = keys.create_rsa_key("k")
    assert (second.properties.enabled, second.properties.expires_on, second.properties.tags) == (True, None, None)
    assert keys.get_key("k").id == second.id
    assert keys.get_key("k", first.properties.version).properties.tags == {"a": "b"}


def test_the_current_version_is_the_newest_made_even_within_one_second_or_disabled(keys: KeyClient):
    made = [keys.create_ec_key("k") for _ in range(5)]
    assert keys.get_key("k").id == made[-1].id
    keys.update_key_properties("k", enabled=False)
    assert keys.get_key("k").id == made[-1].id
    assert keys.get_key("k").properties.enabled is False
    listed = [version.version for version in keys.list_properties_of_key_versions("k")]
    assert listed == sorted(version.properties.version for version in made)


def test_names_ignore_case_and_keep_the_first_spelling(keys: KeyClient):
    made = keys.create_ec_key("MyKey")
    assert keys.get_key("mykey").id == made.id
    assert "/keys/MyKey/" in keys.create_ec_key("MYKEY").id
    assert [key.name for key in keys.list_properties_of_keys()] == ["MyKey"]


def test_an_update_touches_only_what_it_names(keys: KeyClient):
    made = keys.create_rsa_key("k", tags={"a": "b"}, expires_on=EXPIRES)
    changed = keys.update_key_properties("k", made.properties.version, enabled=False, key_operations=["sign"])
    assert (changed.id, changed.key_operations) == (made.id, ["sign"])
    assert (changed.properties.tags, changed.properties.expires_on) == ({"a": "b"}, EXPIRES)
    assert keys.update_key_properties("k", tags={}).properties.tags is None
    assert keys.update_key_properties("k", tags={"x": "y"}).properties.tags == {"x": "y"}
    assert keys.get_key("k").properties.enabled is False


@pytest.mark.parametrize(
    ("name", "level", "days"),
    [
        ("kv-premium", "Recoverable+Purgeable", 90),
        ("kv-protected", "Recoverable", 90),
        ("kv-week", "CustomizedRecoverable", 7),
        ("kv-hard", "Purgeable", 0),
    ],
)
def test_the_recovery_level_tells_the_vaults_protection(emulator: Emulator, name: str, level: str, days: int):
    made = emulator.keys(name).create_ec_key("k").properties
    assert (made.recovery_level, made.recoverable_days) == (level, days)


def test_retention_without_protection_is_customized_and_purgeable(emulator: Emulator):
    emulator.control("POST", "vaults/kv-premium", {"retention_days": 30})
    assert emulator.keys().create_ec_key("k").properties.recovery_level == "CustomizedRecoverable+Purgeable"


def test_a_missing_key_or_version_is_404(keys: KeyClient):
    keys.create_ec_key("k")
    for name, version in (("none", None), ("k", "0" * 32)):
        with pytest.raises(ResourceNotFoundError) as caught:
            keys.get_key(name, version)
        assert caught.value.error.code == "KeyNotFound"
    assert list(keys.list_properties_of_key_versions("none")) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"kty": "oct"}, "Invalid kty value: oct"),
        ({}, "Invalid kty value"),
        ({"kty": "RSA", "key_size": 1024}, "Invalid key_size"),
        ({"kty": "RSA", "key_size": "2048"}, "Invalid key_size"),
        ({"kty": "RSA", "key_size": True}, "Invalid key_size"),
        ({"kty": "RSA", "public_exponent": 5}, "Invalid public_exponent"),
        ({"kty": "EC", "crv": "P-192"}, "Invalid crv"),
        ({"kty": "EC", "key_ops": ["encrypt"]}, "Unsupported key operation(s): encrypt"),
        ({"kty": "RSA", "key_ops": ["import"]}, "Unsupported key operation(s): import"),
        ({"kty": "RSA-HSM", "key_ops": ["import", "sign"]}, "can't be combined"),
        ({"kty": "RSA-HSM", "key_ops": "sign"}, "must be a list"),
        ({"kty": "EC", "attributes": {"enabled": "yes"}}, "enabled"),
        ({"kty": "EC", "attributes": {"exp": "soon"}}, "exp"),
        ({"kty": "EC", "attributes": {"exp": 253_402_300_800}}, "exp"),
        ({"kty": "EC", "attributes": {"nbf": 10**400}}, "nbf"),
        ({"kty": "EC", "attributes": {"nbf": 1e9}}, "nbf"),
        ({"kty": "EC", "attributes": {"nbf": 20, "exp": 10}}, "later than"),
        ({"kty": "EC", "attributes": []}, "attributes"),
        ({"kty": "EC", "tags": {str(number): "" for number in range(16)}}, "at most 15"),
        ({"kty": "EC", "tags": {"a": "b" * 257}}, "256"),
        ({"kty": "EC", "tags": {"a": 1}}, "tags"),
        ({"kty": "RSA-HSM", "attributes": {"exportable": True}}, "AKV.SKR.1004: "),
        ({"kty": "RSA-HSM", "release_policy": {"data": "e30"}}, "AKV.SKR.1005: "),
        ({"kty": "RSA", "attributes": {"exportable": True}, "release_policy": {"data": "e30"}}, "HSM"),
        ([], "JSON object"),
    ],
)
def test_a_bad_create_is_400_with_a_reason(emulator: Emulator, body: object, said: str):
    answer = emulator.raw("POST", "/keys/k/create", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BadParameter"
    assert said in answer.json()["error"]["message"]
    assert emulator.raw("GET", "/keys/k").status_code == 404


def test_a_key_type_of_null_is_named_as_nothing(emulator: Emulator):
    for body in ({}, {"kty": None}):
        assert emulator.raw("POST", "/keys/k/create", json=body).json()["error"]["message"] == "Invalid kty value: "


@pytest.mark.parametrize("name", ["bad_name", "a" * 128, "a.b", "k%20", "%2F"])
def test_a_bad_name_is_400(emulator: Emulator, name: str):
    answer = emulator.raw("POST", f"/keys/{name}/create", json={"kty": "EC"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")
    assert "invalid name" in answer.json()["error"]["message"]


def test_an_exportable_key_with_a_policy_is_made_and_stays_so(keys: KeyClient):
    policy = KeyReleasePolicy(b'{"version":"1.0.0","anyOf":[]}')
    made = keys.create_rsa_key("k", hardware_protected=True, exportable=True, release_policy=policy)
    assert made.properties.exportable is True
    assert made.properties.release_policy.encoded_policy == policy.encoded_policy
    with pytest.raises(HttpResponseError) as caught:
        keys.release_key("k", "target")
    assert caught.value.status_code == 400


def test_exportable_cannot_change_later(emulator: Emulator, keys: KeyClient):
    keys.create_rsa_key("k", hardware_protected=True)
    answer = emulator.raw("PATCH", "/keys/k", json={"attributes": {"exportable": True}})
    assert answer.status_code == 400
    assert emulator.raw("POST", "/keys/k/release", json={"target": "t"}).status_code == 403


def test_an_immutable_release_policy_stays(emulator: Emulator):
    policy = {"data": "e30", "immutable": True}
    body = {"kty": "RSA-HSM", "attributes": {"exportable": True}, "release_policy": policy}
    assert emulator.raw("POST", "/keys/k/create", json=body).status_code == 200
    error = emulator.raw("PATCH", "/keys/k", json={"release_policy": {"data": "e31"}}).json()["error"]
    assert error["message"] == "AKV.SKR.1020: Immutable Key Release Policy cannot be modified."


def test_a_key_exchange_key_stays_for_import_only(keys: KeyClient):
    kek = keys.create_rsa_key("kek", size=2048, hardware_protected=True, key_operations=["import"])
    assert kek.key_operations == ["import"]
    with pytest.raises(HttpResponseError, match="combined"):
        keys.update_key_properties("kek", key_operations=["import", "sign"])
