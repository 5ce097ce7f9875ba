"""Backup and restore, and the Standard vault."""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.keyvault.keys import KeyClient, KeyVaultKey

from tests.azure_emulator.blobs import b64url, blob_for, rsa_key
from tests.azure_emulator.harness import Emulator


def test_a_restored_key_has_all_its_versions(emulator: Emulator, keys: KeyClient):
    made = [keys.create_rsa_key("k", tags={"n": str(number)}) for number in range(2)]
    saved = keys.backup_key("k")
    with pytest.raises(ResourceExistsError):
        keys.restore_key_backup(saved)
    keys.begin_delete_key("k")
    with pytest.raises(ResourceExistsError) as caught:
        keys.restore_key_backup(saved)
    assert caught.value.error.innererror["code"] == "ObjectIsDeletedButRecoverable"
    keys.purge_deleted_key("k")
    restored = keys.restore_key_backup(saved)
    assert (restored.id, restored.key.n, restored.properties.tags) == (made[1].id, made[1].key.n, {"n": "1"})
    assert {version.id for version in keys.list_properties_of_key_versions("k")} == {key.id for key in made}


@pytest.mark.parametrize("value", ["AAAA", "*", "", None, 1])
def test_a_foreign_backup_is_refused(emulator: Emulator, value: object):
    answer = emulator.raw("POST", "/keys/restore", json={"value": value})
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": "Malformed backup blob",
        "message": "Backup blob contains invalid or corrupt version.",
    }


def test_an_hsm_backup_does_not_go_into_a_standard_vault(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("hard", hardware_protected=True)
    keys.create_ec_key("soft")
    standard = emulator.keys("kv-standard")
    assert standard.restore_key_backup(keys.backup_key("soft")).name == "soft"
    with pytest.raises(HttpResponseError, match="not allowed on standard vault"):
        standard.restore_key_backup(keys.backup_key("hard"))


@pytest.mark.parametrize("kty", ["RSA-HSM", "EC-HSM"])
def test_a_standard_vault_takes_no_hsm_key(emulator: Emulator, kty: str):
    answer = emulator.raw("POST", "/keys/k/create", vault="kv-standard", json={"kty": kty})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")
    assert answer.json()["error"]["message"] == "Hardware key operation not allowed on standard vault"
    assert emulator.keys("kv-standard").create_rsa_key("soft").key_type == "RSA"


def test_a_standard_vault_takes_no_blob(emulator: Emulator, kek: KeyVaultKey):
    key = {"kty": "RSA", "key_hsm": b64url(blob_for(kek, rsa_key()).encoded())}
    for body in ({"key": key, "Hsm": True}, {"key": key}):
        assert emulator.raw("PUT", "/keys/k", vault="kv-standard", json=body).status_code == 400


def test_other_key_types_are_not_supported(emulator: Emulator):
    for kty in ("oct", "oct-HSM", "OKP", "rsa"):
        error = emulator.raw("POST", "/keys/k/create", json={"kty": kty}).json()["error"]
        assert (error["code"], error["innererror"]["code"]) == ("BadParameter", "KeyTypeNotSupported")
