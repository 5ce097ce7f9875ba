"""Delete, recover, purge, and the time the service takes between them."""

from __future__ import annotations

import time

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.keys import KeyClient

from tests.azure_emulator.harness import Emulator

# Long enough for the requests of a test that come before its end, on a busy machine too.
SETTLE_SECONDS = 3


def conflict(call: object, *arguments: object) -> str:
    with pytest.raises(ResourceExistsError) as caught:
        call(*arguments)  # type: ignore[operator]
    assert caught.value.error.code == "Conflict"
    return str(caught.value.error.innererror["code"])


def delete(keys: KeyClient, name: str) -> None:
    keys.begin_delete_key(name, _polling_interval=0.05).wait()


def test_a_deleted_key_hides_all_versions_and_comes_back_whole(keys: KeyClient):
    made = [keys.create_ec_key("k", tags={"a": "b"}).id for _ in range(2)]
    poller = keys.begin_delete_key("k", _polling_interval=0.05)
    deleted = poller.result()
    poller.wait()
    assert deleted.id == made[-1]
    assert deleted.recovery_id.endswith("/deletedkeys/k")
    assert (deleted.scheduled_purge_date - deleted.deleted_date).days == 90
    with pytest.raises(ResourceNotFoundError):
        keys.get_key("k")
    assert list(keys.list_properties_of_keys()) == []
    listed = list(keys.list_deleted_keys())
    assert [(entry.name, entry.recovery_id) for entry in listed] == [("k", deleted.recovery_id)]
    assert keys.get_deleted_key("k").properties.tags == {"a": "b"}
    assert keys.begin_recover_deleted_key("k", _polling_interval=0.05).result().id == made[-1]
    assert sorted(version.id for version in keys.list_properties_of_key_versions("k")) == sorted(made)
    with pytest.raises(ResourceNotFoundError, match="Deleted Key not found: k"):
        keys.get_deleted_key("k")


def test_a_deleted_name_is_taken_until_purged(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    delete(keys, "k")
    assert conflict(keys.create_ec_key, "k") == "ObjectIsDeletedButRecoverable"
    answer = emulator.raw("DELETE", "/deletedkeys/k")
    assert (answer.status_code, answer.content) == (204, b"")
    with pytest.raises(ResourceNotFoundError):
        keys.get_deleted_key("k")
    assert keys.create_ec_key("k").name == "k"


def test_a_deletion_that_settles_is_hidden_and_blocks_everything(emulator: Emulator, keys: KeyClient):
    emulator.control("POST", "vaults/kv-premium", {"delete_settle": SETTLE_SECONDS})
    keys.create_ec_key("k")
    started = time.monotonic()
    poller = keys.begin_delete_key("k", _polling_interval=0.1)
    with pytest.raises(ResourceNotFoundError):
        keys.get_key("k")
    with pytest.raises(ResourceNotFoundError):
        keys.get_deleted_key("k")
    assert list(keys.list_deleted_keys()) == []
    assert conflict(keys.create_ec_key, "k") == "ObjectIsBeingDeleted"
    assert conflict(keys.purge_deleted_key, "k") == "ObjectIsBeingDeleted"
    assert conflict(keys.begin_recover_deleted_key, "k") == "ObjectIsBeingDeleted"
    poller.wait()
    assert time.monotonic() - started > SETTLE_SECONDS - 0.1
    assert keys.get_deleted_key("k").name == "k"


def test_a_purge_that_settles_keeps_the_name(emulator: Emulator, keys: KeyClient):
    emulator.control("POST", "settings", {"purge_settle": SETTLE_SECONDS})
    keys.create_ec_key("k")
    delete(keys, "k")
    keys.purge_deleted_key("k")
    with pytest.raises(ResourceNotFoundError):
        keys.get_deleted_key("k")
    assert conflict(keys.create_ec_key, "k") == "ObjectIsBeingDeleted"
    deadline = time.monotonic() + 60
    while emulator.raw("POST", "/keys/k/create", json={"kty": "EC"}).status_code == 409:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert keys.get_key("k").name == "k"


def test_a_recovery_that_settles_is_waited_for_by_the_poller(emulator: Emulator, keys: KeyClient):
    emulator.control("POST", "settings", {"recover_settle": SETTLE_SECONDS})
    made = keys.create_ec_key("k")
    delete(keys, "k")
    poller = keys.begin_recover_deleted_key("k", _polling_interval=0.1)
    with pytest.raises(ResourceNotFoundError):
        keys.get_key("k")
    assert conflict(keys.create_ec_key, "k") == "ObjectIsBeingRecovered"
    assert conflict(keys.begin_delete_key, "k") == "ObjectIsBeingRecovered"
    poller.wait()
    assert keys.get_key("k").id == made.id


def test_purge_protection_refuses_and_says_why(emulator: Emulator):
    keys = emulator.keys("kv-protected")
    keys.create_ec_key("k")
    delete(keys, "k")
    with pytest.raises(HttpResponseError) as caught:
        keys.purge_deleted_key("k")
    assert (caught.value.status_code, caught.value.error.code) == (403, "Forbidden")
    assert caught.value.error.message.startswith(
        'Operation "purge" is not allowed because purge protection is enabled for this vault.'
    )
    assert keys.begin_recover_deleted_key("k", _polling_interval=0.05).result().name == "k"


def test_without_soft_delete_a_key_is_gone_at_once(emulator: Emulator):
    keys = emulator.keys("kv-hard")
    keys.create_ec_key("k")
    assert "recoveryId" not in emulator.raw("DELETE", "/keys/k", vault="kv-hard").json()
    assert keys.create_ec_key("k").name == "k"
    deleted = keys.begin_delete_key("k").result()
    assert deleted.recovery_id is None
    assert list(keys.list_deleted_keys()) == []


def test_a_single_version_cannot_be_deleted(emulator: Emulator, keys: KeyClient):
    version = keys.create_ec_key("k").properties.version
    assert emulator.raw("DELETE", f"/keys/k/{version}").status_code == 405
    assert keys.get_key("k").properties.version == version


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/keys/no"), ("DELETE", "/deletedkeys/no"), ("POST", "/deletedkeys/no/recover")]
)
def test_what_is_not_there_is_404(emulator: Emulator, method: str, path: str):
    answer = emulator.raw(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "KeyNotFound")
