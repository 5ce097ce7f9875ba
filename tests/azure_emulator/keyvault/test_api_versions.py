"""What an answer holds depends on the api-version that was asked for."""

from __future__ import annotations

import pytest

from tests.azure_emulator.harness import Emulator

NEWEST = "2026-04-01"


def attributes(emulator: Emulator, version: str) -> set[str]:
    return set(emulator.raw("GET", f"/keys/k?api-version={version}").json()["attributes"])


@pytest.mark.parametrize(
    ("version", "members"),
    [
        ("7.0", set()),
        ("7.2", {"recoverableDays"}),
        ("7.3", {"recoverableDays", "exportable"}),
        ("7.4-preview.1", {"recoverableDays", "exportable"}),
        ("7.4", {"recoverableDays", "exportable", "hsmPlatform"}),
        (NEWEST, {"recoverableDays", "exportable", "hsmPlatform"}),
    ],
)
def test_members_appear_with_the_version_that_brought_them(emulator: Emulator, version: str, members: set[str]):
    emulator.keys().create_ec_key("k", hardware_protected=True)
    always = {"enabled", "created", "updated", "recoveryLevel"}
    assert attributes(emulator, version) == always | members


def test_the_size_of_an_rsa_key_is_an_attribute_too(emulator: Emulator):
    emulator.keys().create_rsa_key("k", size=3072)
    assert "key_size" not in attributes(emulator, "7.4")
    for path in ("/keys/k", "/keys", "/keys/k/versions"):
        found = emulator.raw("GET", f"{path}?api-version=7.6").json()
        assert found.get("value", [found])[0]["attributes"]["key_size"] == 3072


def test_an_unknown_version_is_answered_with_the_newest_stable_one(emulator: Emulator):
    assert emulator.raw("GET", "/keys?api-version=7.9").json()["error"]["message"] == (
        f"The specified version (7.9) is not recognized. Consider using the latest supported version ({NEWEST})."
    )


@pytest.mark.parametrize(
    ("method", "path", "version", "word"),
    [
        ("GET", "/keys/k/rotationpolicy", "7.2", "rotationpolicy"),
        ("POST", "/keys/k/rotate", "7.2", "rotate"),
        ("POST", "/rng", "7.2", "rng"),
        ("POST", "/keys/k//securewrapkey", "2025-07-01", "securewrapkey"),
    ],
)
def test_an_operation_does_not_exist_before_its_version(
    emulator: Emulator, method: str, path: str, version: str, word: str
):
    emulator.keys().create_ec_key("k")
    error = emulator.raw(method, f"{path}?api-version={version}").json()["error"]
    assert error == {"code": "BadParameter", "message": f"Method {method} does not allow operation '{word}'"}


def create(emulator: Emulator, version: str, **body: object) -> tuple[int, str]:
    answer = emulator.raw("POST", f"/keys/k/create?api-version={version}", json={"kty": "RSA-HSM", **body})
    return answer.status_code, answer.json().get("error", {}).get("message", "")


def test_secure_wrapping_is_a_key_operation_of_the_newest_versions(emulator: Emulator):
    words = {"key_ops": ["secureWrapKey", "secureUnwrapKey"], "release_policy": {"data": "e30"}}
    status, message = create(emulator, "2025-07-01", **words)
    assert status == 400
    assert message.startswith("Unsupported key operation(s)")
    assert create(emulator, NEWEST, **words)[0] == 200
    assert emulator.raw("POST", f"/keys/k//securewrapkey?api-version={NEWEST}", json={}).status_code == 400


@pytest.mark.parametrize(
    ("external", "said"), [({"id": "a-1"}, "managed HSM"), ({"id": "a_1"}, "1 to 64"), ({"id": "a" * 65}, "1 to 64"), ({}, "1 to 64")]
)  # fmt: skip
def test_keys_kept_outside_azure_are_not_for_a_vault(emulator: Emulator, external: object, said: str):
    status, message = create(emulator, NEWEST, attributes={"external_key": external})
    assert (status, said in message) == (400, True)
    assert create(emulator, "2025-07-01", attributes={"external_key": external})[0] == 200
