"""Versions of types that this service can't make, as a client may find them in a vault."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import KeyClient

from tests.azure_emulator.harness import Emulator

STRANGE = [
    {"kty": "AKP-HSM", "alg": "ML-DSA-65", "pub": "AAAA"},
    {"kty": "OKP-HSM", "crv": "Ed25519", "x": "AAAA"},
    {"kty": "EC", "crv": "SECP256K1", "x": "AAAA", "y": "AAAA"},
    {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
]


def add_foreign(emulator: Emulator, key: dict[str, Any], **body: Any) -> str:
    found = emulator.control("POST", "vaults/kv-premium/keys", {"name": "k", "key": key, **body})
    return str(found["version"])


@pytest.mark.parametrize("key", STRANGE)
def test_a_key_of_any_type_is_listed_and_read(emulator: Emulator, keys: KeyClient, key: dict[str, Any]):
    own = keys.create_ec_key("k")
    version = add_foreign(emulator, key)
    shown = emulator.raw("GET", f"/keys/k/{version}").json()["key"]
    assert {name: value for name, value in shown.items() if name not in ("kid", "key_ops")} == key
    assert emulator.raw("GET", "/keys/k").json()["key"]["kid"].endswith(version)
    listed = [entry.version for entry in keys.list_properties_of_key_versions("k")]
    assert sorted(listed) == sorted([own.properties.version, version])


@pytest.mark.parametrize("key", STRANGE)
def test_a_foreign_key_can_be_disabled_and_deleted_but_not_used(
    emulator: Emulator, keys: KeyClient, key: dict[str, Any]
):
    add_foreign(emulator, {**key, "key_ops": ["sign"]})
    assert keys.update_key_properties("k", enabled=False).properties.enabled is False
    keys.update_key_properties("k", enabled=True)
    for algorithm in ("ES256", "RS256", "ES256K"):
        body = {"alg": algorithm, "value": "A" * 43}
        assert emulator.raw("POST", "/keys/k/sign", json=body).status_code == 400
    with pytest.raises(HttpResponseError) as caught:
        keys.rotate_key("k")
    assert caught.value.status_code == 400
    keys.begin_delete_key("k").wait()
    assert keys.get_deleted_key("k").name == "k"


def test_what_is_said_about_a_foreign_version_can_be_set(emulator: Emulator, keys: KeyClient):
    attributes = {"created": 1_600_000_000, "nbf": 1_700_000_000, "enabled": False, "hsmPlatform": "1"}
    version = add_foreign(emulator, STRANGE[0], version="ab" * 16, attributes=attributes, tags={"a": "b"})
    found = emulator.raw("GET", f"/keys/k/{version}").json()
    assert version == "ab" * 16
    assert {name: found["attributes"][name] for name in attributes} == attributes
    assert found["tags"] == {"a": "b"}


def test_a_foreign_key_exchange_key_opens_no_blob(emulator: Emulator):
    version = add_foreign(emulator, {"kty": "RSA-HSM", "n": "AQAB", "e": "AQAB", "key_ops": ["import"]})
    assert version
    blob = "eyJzY2hlbWFfdmVyc2lvbiI6IjEuMC4wIn0"
    body = {"key": {"kty": "RSA-HSM", "key_hsm": blob}}
    assert emulator.raw("PUT", "/keys/new", json=body).status_code == 400


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "a_b", "key": {"kty": "EC"}}, {"name": "k", "key": {}}, {"name": "k", "key": 1},
     {"name": "k", "key": {"kty": "EC"}, "version": "1"}, {"name": "k", "key": {"kty": "EC"}, "attributes": {"exp": "x"}}],
)  # fmt: skip
def test_a_senseless_key_is_refused(emulator: Emulator, body: dict[str, Any]):
    for vault, sent in (("kv-premium", body), ("kv-none", {"name": "k", "key": {"kty": "EC"}})):
        assert emulator.web.post(f"{emulator.url()}/_emulator/vaults/{vault}/keys", json=sent).status_code == 400
