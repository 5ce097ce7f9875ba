"""What each client may do, and how the refusal reads."""

from __future__ import annotations

import time

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import KeyClient

from tests.azure_emulator.harness import API, Emulator

CALLS = [
    ("get", "GET", "/keys/k"),
    ("get", "GET", "/deletedkeys/k"),
    ("list", "GET", "/keys"),
    ("list", "GET", "/keys/k/versions"),
    ("list", "GET", "/deletedkeys"),
    ("create", "POST", "/keys/k/create"),
    ("import", "PUT", "/keys/k"),
    ("update", "PATCH", "/keys/k/"),
    ("delete", "DELETE", "/keys/k"),
    ("recover", "POST", "/deletedkeys/k/recover"),
    ("purge", "DELETE", "/deletedkeys/k"),
    ("backup", "POST", "/keys/k/backup"),
    ("restore", "POST", "/keys/restore"),
    ("rotate", "POST", "/keys/k/rotate"),
    ("getrotationpolicy", "GET", "/keys/k/rotationpolicy"),
    ("setrotationpolicy", "PUT", "/keys/k/rotationpolicy"),
    ("sign", "POST", "/keys/k/sign"),
    ("unwrapkey", "POST", "/keys/k//unwrapkey"),
]

# What a right to keys doesn't give: path, then permission and data action by the two access models.
OTHERS = [
    ("GET", "/secrets", "secrets list", "secrets/readMetadata/action"),
    ("GET", "/secrets/s", "secrets get", "secrets/getSecret/action"),
    ("GET", "/SECRETS/s/" + "0" * 32, "secrets get", "secrets/getSecret/action"),
    ("GET", "/secrets/s/versions", "secrets list", "secrets/readMetadata/action"),
    ("PUT", "/secrets/s", "secrets set", "secrets/setSecret/action"),
    ("PATCH", "/secrets/s/", "secrets set", "secrets/setSecret/action"),
    ("DELETE", "/secrets/s", "secrets delete", "secrets/delete"),
    ("POST", "/secrets/s/backup", "secrets backup", "secrets/backup/action"),
    ("POST", "/secrets/restore", "secrets restore", "secrets/restore/action"),
    ("GET", "/deletedsecrets", "secrets list", "secrets/readMetadata/action"),
    ("POST", "/deletedsecrets/s/recover", "secrets recover", "secrets/recover/action"),
    ("DELETE", "/deletedsecrets/s", "secrets purge", "secrets/purge/action"),
    ("GET", "/certificates", "certificates list", "certificates/read"),
    ("POST", "/certificates/s/create", "certificates create", "certificates/create/action"),
    ("POST", "/certificates/s/import", "certificates import", "certificates/import/action"),
    ("DELETE", "/deletedcertificates/s", "certificates purge", "certificates/purge/action"),
]


def limited(emulator: Emulator, *permissions: str) -> KeyClient:
    emulator.control("POST", "clients", {"client_id": "limited", "secret": "s", "permissions": list(permissions)})
    return emulator.keys(credential=emulator.credential("limited", "s"))


@pytest.mark.parametrize(("permission", "method", "path"), CALLS)
def test_a_missing_permission_is_named(emulator: Emulator, permission: str, method: str, path: str):
    limited(emulator)
    token = emulator.token(client_id="limited", client_secret="s")
    answer = emulator.raw(method, path, headers={"Authorization": f"Bearer {token}"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["innererror"]["code"]) == (403, "Forbidden", "AccessDenied")
    assert (
        f"does not have keys {permission} permission on key vault 'kv-premium;location=westeurope'" in error["message"]
    )
    assert "appid=limited;oid=" in error["message"]


def test_a_role_based_vault_names_the_action(emulator: Emulator):
    emulator.control("POST", "vaults/kv-premium", {"rbac": True})
    with pytest.raises(HttpResponseError) as caught:
        limited(emulator, "get").create_ec_key("k")
    error = caught.value.error
    assert (caught.value.status_code, error.innererror["code"]) == (403, "ForbiddenByRbac")
    assert error.message.startswith("Caller is not authorized to perform action on resource.")
    assert "Action: 'Microsoft.KeyVault/vaults/keys/create/action'" in error.message
    assert "vaults/kv-premium/keys/k" in error.message


@pytest.mark.parametrize(("method", "path", "permission", "action"), OTHERS)
def test_a_right_to_keys_gives_none_to_other_objects(
    emulator: Emulator, method: str, path: str, permission: str, action: str
):
    error = emulator.raw(method, path).json()["error"]
    assert (error["code"], error["innererror"]["code"]) == ("Forbidden", "AccessDenied")
    assert f"does not have {permission} permission on key vault 'kv-premium;" in error["message"]
    emulator.control("POST", "vaults/kv-premium", {"rbac": True})
    answer = emulator.raw(method, path)
    assert (answer.status_code, answer.json()["error"]["innererror"]["code"]) == (403, "ForbiddenByRbac")
    text = answer.json()["error"]["message"]
    assert f"Action: 'Microsoft.KeyVault/vaults/{action}'" in text
    assert (f"/vaults/kv-premium/{permission.split(maxsplit=1)[0]}/s'" in text) == (
        "/s" in path.replace("/secrets", "")
    )


def test_permissions_change_at_once(emulator: Emulator):
    keys = limited(emulator, "create")
    keys.create_ec_key("k")
    with pytest.raises(HttpResponseError, match="keys get permission"):
        keys.get_key("k")
    emulator.control("POST", "clients", {"client_id": "limited", "permissions": ["get"]})
    assert keys.get_key("k").name == "k"
    emulator.control("POST", "clients", {"client_id": "limited", "permissions": ["all"]})
    assert keys.create_ec_key("k").name == "k"


def test_the_permission_is_checked_before_name_and_body(emulator: Emulator):
    limited(emulator)
    headers = {"Authorization": f"Bearer {emulator.token(client_id='limited', client_secret='s')}"}
    assert emulator.raw("POST", "/keys/bad_name/create", headers=headers, data=b"{").status_code == 403
    assert emulator.raw("POST", "/keys/k/create?api-version=", headers=headers).status_code == 400


def test_a_version_listing_needs_list_only(emulator: Emulator, keys: KeyClient):
    keys.create_ec_key("k")
    assert len(list(limited(emulator, "list").list_properties_of_key_versions("k"))) == 1


def test_clients_are_shown_without_their_secret(emulator: Emulator):
    limited(emulator, "get")
    shown = emulator.control("GET", "clients")
    assert [client["client_id"] for client in shown][1:] == ["limited"]
    assert all("secret" not in client for client in shown)
    assert emulator.raw("GET", f"/keys?api-version={API}").status_code == 200


def test_a_new_grant_needs_a_new_token_and_some_time_where_that_is_switched_on(emulator: Emulator):
    emulator.control("POST", "settings", {"grants_need_new_token": True})
    emulator.control("POST", "clients", {"client_id": "late", "secret": "s", "permissions": ["get"]})
    old = {"Authorization": f"Bearer {emulator.token(client_id='late', client_secret='s')}"}
    time.sleep(1.1)
    emulator.control("POST", "clients", {"client_id": "late", "permissions": ["get", "list"]})
    assert emulator.raw("GET", "/keys", headers=old).status_code == 403
    new = {"Authorization": f"Bearer {emulator.token(client_id='late', client_secret='s')}"}
    assert emulator.raw("GET", "/keys", headers=new).status_code == 200
    emulator.control("POST", "settings", {"grant_settle": 60})
    assert emulator.raw("GET", "/keys", headers=new).status_code == 403
    assert emulator.raw("GET", "/keys/none", headers=new).status_code == 404
