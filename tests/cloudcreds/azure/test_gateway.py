"""Each operation through the real SDK, and the one row it leaves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from cloudcreds.azure import transfer_blob
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.recovery import has_soft_delete, is_purge_protected
from hsm.types import KeySpec
from kmes.core.clock import now
from tests.cloudcreds.azure.conftest import ALL

SPKI = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
PKCS8 = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def make_kek(gateway, name="kmes-kek-t", bits=3072):
    return gateway.create_kek(name, bits, expires_on=now() + timedelta(hours=2), tags={"kmes-app": "kmes"})


def blob_for(kek, private):
    """A transfer blob made without our device."""
    aes = bytes(range(32))
    public = rsa.RSAPublicNumbers(kek.exponent, kek.modulus).public_key()
    wrapped = public.encrypt(aes, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    return transfer_blob.build(kek.kid, wrapped + keywrap.aes_key_wrap_with_padding(aes, private.private_bytes(*PKCS8)))


def push(gateway, name="k", private=None, **changes):
    private = private or ec.generate_private_key(ec.SECP256R1())
    kek = gateway.read_kek("kmes-kek-t", 3072) or make_kek(gateway)
    values = {
        "spec": KeySpec.P_256,
        "blob": blob_for(kek, private),
        "key_ops": ["sign", "verify"],
        "enabled": True,
        "expires_on": None,
        "tags": {"kmes-key": "1"},
    } | changes
    return gateway.import_key(name, **values)


def test_a_key_is_imported_exactly_as_asked(azure):
    gateway, private = azure.gateway(), ec.generate_private_key(ec.SECP256R1())
    ends = (now() + timedelta(days=30)).replace(microsecond=0)
    made = push(gateway, private=private, expires_on=ends, enabled=False)
    assert made.public_spki == private.public_key().public_bytes(*SPKI)
    assert (made.kty, made.enabled, made.expires_on, made.tags) == ("EC-HSM", False, ends, {"kmes-key": "1"})
    assert set(made.key_ops) == {"sign", "verify"}
    assert made.kid.startswith(azure.stand_in.vault_url("kv-premium") + "/keys/k/")
    (put,) = azure.asked("PUT", "/keys/k")
    assert put["status"] == 200


def test_versions_are_listed_and_switched(azure):
    gateway = azure.gateway()
    first, second = push(gateway), push(gateway)
    assert {one.version for one in gateway.list_versions("k")} == {first.version, second.version}
    assert gateway.update_version("k", first.version, enabled=False).enabled is False
    assert gateway.get_key("k").version == second.version
    assert gateway.get_key("k", first.version).enabled is False


def test_what_is_not_there_is_none_and_no_error(azure):
    gateway = azure.gateway()
    assert gateway.get_key("nothing") is None
    assert gateway.get_deleted("nothing") is None
    assert gateway.read_kek("nothing", 2048) is None
    assert gateway.list_versions("nothing") == []


def test_a_key_is_deleted_recovered_and_purged(azure):
    gateway = azure.gateway()
    push(gateway)
    deleted = gateway.delete_key("k")
    assert deleted.recovery_id
    assert deleted.scheduled_purge_on > deleted.deleted_on
    gateway.recover_key("k")
    assert gateway.get_key("k") is not None
    gateway.delete_key("k")
    gateway.purge_key("k")
    assert gateway.get_deleted("k") is None


def test_deleting_asks_once_to_delete(azure):
    gateway = azure.gateway()
    push(gateway)
    gateway.delete_key("k")
    assert len(azure.asked("DELETE", "/keys/k")) == 1
    assert len(azure.asked("GET", "/deletedkeys/k")) <= 1


@pytest.mark.parametrize(("vault", "soft", "protected"), [("kv-premium", True, False), ("kv-protected", True, True)])
def test_the_recovery_level_is_read_from_the_kek(vault, soft, protected, azure):
    kek = make_kek(azure.gateway(vault))
    assert (has_soft_delete(kek.recovery_level), is_purge_protected(kek.recovery_level)) == (soft, protected)


def test_resource_manager_lists_the_vaults_with_their_tiers(azure):
    found = {vault.name: vault for vault in azure.gateway("").list_vaults().vaults}
    assert {name: vault.tier for name, vault in found.items()} == {
        "kv-premium": "premium",
        "kv-protected": "premium",
        "kv-standard": "standard",
    }
    assert found["kv-protected"].purge_protected
    assert found["kv-premium"].url == azure.stand_in.vault_url("kv-premium")


def test_an_empty_page_that_goes_on_is_not_the_end(azure):
    gateway = azure.gateway()
    made = push(gateway)
    azure.fault(method="GET", path="/keys/k/versions", empty_page=True)
    assert [one.version for one in gateway.list_versions("k")] == [made.version]


def test_each_call_leaves_one_row_without_a_secret(azure):
    gateway = azure.gateway()
    gateway.get_token()
    made = push(gateway)
    gateway.get_key("k")
    rows = azure.notes.calls
    assert [row.event for row in rows] == [
        "azure.token_obtained",
        rows[1].event,
        "azure.kek_created",
        "azure.key_imported",
        "azure.key_read",
    ]
    imported = rows[3]
    assert (imported.http_status, imported.version, imported.key_name) == (200, made.version, "k")
    assert imported.request_id
    assert imported.duration_ms >= 0
    for row in rows:
        assert "emulator-secret" not in repr(row)
        assert "eyJ" not in repr(row), "a token"


def test_a_row_says_what_a_call_that_failed_was_to_do_and_what_a_look_did_not_find(azure):
    gateway = azure.gateway()
    azure.permit("get", "list")
    with pytest.raises(CloudError):
        gateway.delete_key("k")
    assert gateway.get_key("k") is None
    refused, missed = (row for row in azure.notes.calls if row.http_status in {403, 404})
    assert refused.message.startswith("The call for “Key deleted” failed: ")
    assert (refused.event, missed.event) == ("azure.permission_missing", "azure.key_read")
    # Finding nothing is an answer: the row says so, and gives no advice.
    assert missed.message.startswith("The vault has no key")
    assert "Check Drift" not in missed.message
    assert "failed" not in missed.message


def test_it_is_never_asked_inside_a_transaction(azure, settings):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = False
    with pytest.raises(AssertionError):
        azure.gateway().get_token()


@pytest.mark.parametrize("rbac", [False, True], ids=["access policy", "RBAC"])
def test_a_missing_right_on_rotation_policies_is_named_in_both_access_models(rbac, azure):
    azure.stand_in.control("POST", "/_emulator/vaults/kv-premium", {"rbac": rbac})
    gateway = azure.gateway()
    gateway.create_kek("kmes-kek-r", 2048, expires_on=now() + timedelta(hours=2), tags={})
    azure.permit(*ALL)
    with pytest.raises(CloudError) as caught:
        gateway.get_rotation_policy("kmes-kek-r")
    assert (caught.value.kind, caught.value.permission) == (CloudErrorKind.PERMISSION, "getrotationpolicy")


def test_a_listing_tells_the_hsm_platform_of_each_version(azure):
    gateway = azure.gateway()
    gateway.create_kek("kmes-kek-r", 2048, expires_on=now() + timedelta(hours=2), tags={})
    assert [version.hsm_platform for version in gateway.list_versions("kmes-kek-r")] == ["2"]
