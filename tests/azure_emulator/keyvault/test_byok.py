"""Import by key transfer blob: what is taken, and each reason for refusing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import JsonWebKey, KeyClient, KeyVaultKey
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, utils

from tests.azure_emulator.blobs import Blob, b64url, blob_for, ec_key, pkcs8, rsa_key
from tests.azure_emulator.harness import Emulator

SOON = timedelta(hours=1)


def send(keys: KeyClient, blob: bytes, kty: str = "RSA-HSM", crv: str | None = None, **options: Any) -> KeyVaultKey:
    key = JsonWebKey(kty=kty, crv=crv, t=blob, key_ops=options.pop("key_ops", None))
    return keys.import_key(options.pop("name", "pushed"), key, hardware_protected=True, **options)


def refusal(keys: KeyClient, blob: bytes, kty: str = "RSA-HSM", crv: str | None = None, **options: Any) -> str:
    with pytest.raises(HttpResponseError) as caught:
        send(keys, blob, kty, crv, **options)
    assert (caught.value.status_code, caught.value.error.code) == (400, "BadParameter")
    assert "pushed" not in [key.name for key in keys.list_properties_of_keys()]
    return str(caught.value.error.message)


@pytest.mark.parametrize("size", [2048, 3072, 4096])
def test_rsa_keys_arrive_whole(emulator: Emulator, keys: KeyClient, kek: KeyVaultKey, size: int):
    own = rsa_key(size)
    pushed = send(keys, blob_for(kek, own).encoded(), key_ops=["sign", "verify"], tags={"from": "hsm"})
    assert int.from_bytes(pushed.key.n, "big") == own.public_key().public_numbers().n
    assert (pushed.key_type, pushed.key_operations) == ("RSA-HSM", ["sign", "verify"])
    assert (pushed.properties.hsm_platform, pushed.properties.tags) == ("2", {"from": "hsm"})
    signature = emulator.crypto(pushed).sign("PS256", bytes(32)).signature
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    own.public_key().verify(signature, bytes(32), scheme, utils.Prehashed(hashes.SHA256()))


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521", "P-256K"])
def test_ec_keys_arrive_whole(emulator: Emulator, keys: KeyClient, kek: KeyVaultKey, curve: str):
    own = ec_key(curve)
    pushed = send(keys, blob_for(kek, own).encoded(), "EC-HSM", curve)
    point = own.public_key().public_numbers()
    assert (int.from_bytes(pushed.key.x, "big"), int.from_bytes(pushed.key.y, "big")) == (point.x, point.y)
    assert (pushed.key_type, pushed.key.crv, pushed.key_operations) == ("EC-HSM", curve, ["sign", "verify"])


@pytest.mark.parametrize("size", [3072, 4096])
def test_larger_key_exchange_keys_work(keys: KeyClient, size: int):
    kek = keys.create_rsa_key("kek", size=size, hardware_protected=True, key_operations=["import"])
    blob = blob_for(kek, rsa_key())
    assert len(blob.ciphertext()) in (size // 8 + 1224, size // 8 + 1232)
    assert send(keys, blob.encoded()).name == "pushed"


def test_a_second_push_is_a_new_version_that_inherits_nothing(keys: KeyClient, kek: KeyVaultKey):
    first = send(keys, blob_for(kek, rsa_key()).encoded(), tags={"a": "b"}, enabled=False)
    second = send(keys, blob_for(kek, rsa_key()).encoded())
    assert first.id != second.id
    assert (second.properties.tags, second.properties.enabled) == (None, True)
    assert keys.get_key("pushed").id == second.id


def test_a_software_type_may_be_imported_by_blob_and_the_suffix_alone_makes_an_hsm_key(
    emulator: Emulator, kek: KeyVaultKey
):
    for kty, flag, shown in (("RSA", False, "RSA"), ("RSA", True, "RSA-HSM"), ("RSA-HSM", False, "RSA-HSM")):
        key = {"kty": kty, "key_hsm": b64url(blob_for(kek, rsa_key()).encoded())}
        assert emulator.raw("PUT", "/keys/k", json={"key": key, "Hsm": flag}).json()["key"]["kty"] == shown


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, lambda raw: b64url(raw).encode()])
def test_key_hsm_may_be_padded_or_plain_base64(emulator: Emulator, kek: KeyVaultKey, encode: Callable[[bytes], bytes]):
    document = blob_for(kek, rsa_key()).document() | {"generator": "??>>~~ÿ"}
    text = encode(json.dumps(document, ensure_ascii=False).encode()).decode()
    assert emulator.raw("PUT", "/keys/k", json={"key": {"kty": "RSA-HSM", "key_hsm": text}}).status_code == 200


def test_a_blob_nested_too_deeply_is_refused(emulator: Emulator):
    key = {"kty": "RSA-HSM", "key_hsm": b64url(b"[" * 100_000)}
    answer = emulator.raw("PUT", "/keys/k", json={"key": key})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")


def test_the_key_may_be_named_by_any_address_of_its_vault(emulator: Emulator, keys: KeyClient, kek: KeyVaultKey):
    tail = kek.id.removeprefix(emulator.url())
    for base in (
        emulator.url(host="localhost"),
        "https://kv-premium.vault.azure.net",
        "https://KV-Premium.vault.azure.net:443",
    ):
        assert send(keys, blob_for(kek, rsa_key(), kid=base + tail).encoded())


def spoil(raw: bytes, position: int) -> bytes:
    changed = bytearray(raw)
    changed[position] ^= 1
    return bytes(changed)


def with_ciphertext(blob: Blob, change: Callable[[bytes], bytes]) -> bytes:
    return json.dumps(blob.document() | {"ciphertext": b64url(change(blob.ciphertext()))}).encode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": "1.0.1"}, "schema_version"),
        ({"schema_version": None}, "schema_version"),
        ({"alg": "RSA-OAEP"}, "header.alg"),
        ({"enc": "CKM_RSA_AES_KEY_WRAP_PAD"}, "header.enc"),
        ({"aes_bytes": 16}, "128 bits"),
        ({"aes_bytes": 24}, "192 bits"),
        ({"oaep": hashes.SHA256()}, "RSA-OAEP"),
        ({"label": b"x"}, "RSA-OAEP"),
        ({"kid": ""}, "header.kid is missing"),
        ({"kid": 7}, "header.kid is missing"),
        ({"kid": "https://elsewhere.vault.azure.net/keys/kek/" + "0" * 32}, "does not name a key of this vault"),
        ({"plain": b"\x30\x03\x02\x01"}, "not PKCS#8"),
        ({"plain": bytes(64)}, "not PKCS#8"),
        ({"plain": pkcs8(rsa_key()) + bytes(1)}, "1 bytes follow the PKCS#8"),
        ({"plain": pkcs8(rsa_key()) + bytes(7)}, "7 bytes follow the PKCS#8"),
        ({"plain": pkcs8(rsa_key())[:-1]}, "cut short"),
        ({"plain": pkcs8(rsa_key(), serialization.PrivateFormat.TraditionalOpenSSL)}, "PKCS#1"),
        (
            {"plain": pkcs8(ec_key(), serialization.PrivateFormat.TraditionalOpenSSL)},
            "version of PrivateKeyInfo is not 0",
        ),
        ({"plain": spoil(pkcs8(rsa_key()), 600)}, "do not belong together"),
    ],
)
def test_each_strict_rule_has_its_own_refusal(keys: KeyClient, kek: KeyVaultKey, change: dict[str, Any], said: str):
    assert said in refusal(keys, blob_for(kek, rsa_key(), **change).encoded())


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (b"no json", "not a JSON document"),
        (b"[]", "not a JSON object"),
        (b"\xff\xfe", "not a JSON document"),
        (b'{"schema_version":"1.0.0","schema_version":"1.0.0"}', "not a JSON document"),
        (b'{"schema_version":"1.0.0"}', "header is missing"),
    ],
)
def test_a_blob_that_is_no_document_is_refused(keys: KeyClient, kek: KeyVaultKey, blob: bytes, said: str):
    assert said in refusal(keys, blob)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: spoil(raw, 10), "RSA-OAEP"),
        (lambda raw: spoil(raw, 300), "integrity check"),
        (lambda raw: spoil(raw, -1), "integrity check"),
        (lambda raw: raw[:-8], "integrity check"),
        (lambda raw: raw[:-1], "integrity check"),
        (lambda raw: raw + bytes(8), "integrity check"),
        (lambda raw: raw[:256], "not longer than"),
        (lambda raw: raw[:257], "integrity check"),
        (lambda raw: b"", "not longer than"),
    ],
)
def test_a_spoilt_ciphertext_is_refused(keys: KeyClient, kek: KeyVaultKey, change: Callable[[bytes], bytes], said: str):
    assert said in refusal(keys, with_ciphertext(blob_for(kek, rsa_key()), change))


@pytest.mark.parametrize("text", ["a+b/", "a b", "A", None, 7])
def test_a_ciphertext_that_is_not_base64url_is_refused(keys: KeyClient, kek: KeyVaultKey, text: Any):
    blob = json.dumps(blob_for(kek, rsa_key()).document() | {"ciphertext": text}).encode()
    assert "ciphertext is not base64url" in refusal(keys, blob)


@pytest.mark.parametrize(
    "tail", ["/keys/kek", "/keys/kek/", "/keys", "/secrets/kek/" + "0" * 32, "/keys/kek/x/y", "/keys/kek/x?y=1"]
)
def test_the_kid_must_be_a_full_versioned_id(emulator: Emulator, keys: KeyClient, kek: KeyVaultKey, tail: str):
    assert "with its version" in refusal(keys, blob_for(kek, rsa_key(), kid=emulator.url() + tail).encoded())


def test_the_kid_must_name_a_live_version_of_this_vault(emulator: Emulator, keys: KeyClient, kek: KeyVaultKey):
    unknown = blob_for(kek, rsa_key(), kid=f"{emulator.url()}/keys/kek/{'0' * 32}")
    assert "does not exist" in refusal(keys, unknown.encoded())
    elsewhere = emulator.keys("kv-protected").create_rsa_key(
        "kek", size=2048, hardware_protected=True, key_operations=["import"]
    )
    assert "does not name a key of this vault" in refusal(keys, blob_for(elsewhere, rsa_key()).encoded())
    keys.begin_delete_key("kek")
    assert "does not exist" in refusal(keys, blob_for(kek, rsa_key()).encoded())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hardware_protected": False}, "of type RSA, not RSA-HSM"),
        ({"key_operations": ["unwrapKey"]}, "not exactly 'import'"),
        ({"enabled": False}, "disabled"),
        ({"expires_on": datetime(2020, 1, 1, tzinfo=UTC)}, "expired"),
        ({"not_before": datetime(2099, 1, 1, tzinfo=UTC)}, "not yet valid"),
    ],
)
def test_the_key_exchange_key_must_be_fit_for_use(keys: KeyClient, options: dict[str, Any], said: str):
    wanted = {"size": 2048, "hardware_protected": True, "key_operations": ["import"], **options}
    if not wanted["hardware_protected"]:
        wanted["key_operations"] = ["unwrapKey"]
    other = keys.create_rsa_key("other", **wanted)
    assert said in refusal(keys, blob_for(other, rsa_key()).encoded())


def test_a_key_exchange_key_within_its_times_works(keys: KeyClient):
    now = datetime.now(UTC)
    kek = keys.create_rsa_key(
        "kek",
        size=2048,
        hardware_protected=True,
        key_operations=["import"],
        not_before=now - SOON,
        expires_on=now + SOON,
    )
    assert send(keys, blob_for(kek, rsa_key()).encoded()).name == "pushed"


def test_an_older_version_of_the_key_exchange_key_still_works_by_its_own_id(keys: KeyClient, kek: KeyVaultKey):
    newer = keys.create_rsa_key("kek", size=2048, hardware_protected=True, key_operations=["import"])
    assert newer.id != kek.id
    assert send(keys, blob_for(kek, rsa_key()).encoded()).name == "pushed"
    assert "RSA-OAEP" in refusal_of_swapped(keys, kek, newer)


def refusal_of_swapped(keys: KeyClient, wrapped_for: KeyVaultKey, named: KeyVaultKey) -> str:
    with pytest.raises(HttpResponseError) as caught:
        send(keys, blob_for(wrapped_for, rsa_key(), kid=named.id).encoded(), name="swapped")
    return str(caught.value.error.message)


@pytest.mark.parametrize(
    ("make", "kty", "crv", "said"),
    [
        (ec_key, "RSA-HSM", None, "does not match the key type RSA-HSM"),
        (rsa_key, "EC-HSM", "P-256", "does not match the key type EC-HSM"),
        (ec_key, "EC-HSM", "P-384", "on curve P-256, not P-384"),
        (ec_key, "EC-HSM", None, "crv is needed"),
        (lambda: ec_key("P-256K"), "EC-HSM", "P-256", "on curve P-256K, not P-256"),
        (lambda: rsa_key(1024), "RSA-HSM", None, "1024 bits are not supported"),
        (lambda: ec.generate_private_key(ec.BrainpoolP256R1()), "EC-HSM", "P-256", "is not supported"),
        (rsa_key, "oct-HSM", None, "Invalid kty value"),
    ],
)
def test_the_material_must_be_what_the_request_says(
    keys: KeyClient, kek: KeyVaultKey, make: Callable[[], Any], kty: str, crv: str | None, said: str
):
    assert said in refusal(keys, blob_for(kek, make()).encoded(), kty, crv)


def test_an_imported_key_cannot_itself_be_a_key_exchange_key(keys: KeyClient, kek: KeyVaultKey):
    assert "Unsupported key operation(s): import" in refusal(
        keys, blob_for(kek, rsa_key()).encoded(), key_ops=["import"]
    )


def test_key_hsm_and_private_members_exclude_each_other(emulator: Emulator, kek: KeyVaultKey):
    key = {"kty": "RSA-HSM", "key_hsm": b64url(blob_for(kek, rsa_key()).encoded()), "d": "AQ"}
    answer = emulator.raw("PUT", "/keys/k", json={"key": key})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")


@pytest.mark.parametrize("text", ["@@@", "", 7, "eyJ", "e30=="])
def test_a_key_hsm_of_the_wrong_form_is_refused(emulator: Emulator, kek: KeyVaultKey, text: Any):
    answer = emulator.raw("PUT", "/keys/k", json={"key": {"kty": "RSA-HSM", "key_hsm": text}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")


def test_mismatched_ec_halves_are_refused(keys: KeyClient, kek: KeyVaultKey):
    mine, other = pkcs8(ec_key()), pkcs8(ec.generate_private_key(ec.SECP256R1()))
    # The public point fills the last 64 bytes of an EC PKCS#8 structure.
    assert refusal(keys, blob_for(kek, ec_key(), plain=mine[:-64] + other[-64:]).encoded(), "EC-HSM", "P-256")


def test_a_plain_hsm_rsa_key_is_taken_and_a_plain_hsm_ec_key_is_not(emulator: Emulator, keys: KeyClient):
    own = rsa_key().private_numbers()
    plain = JsonWebKey(
        kty="RSA-HSM", n=to_bytes(own.public_numbers.n), e=to_bytes(own.public_numbers.e), d=to_bytes(own.d),
        p=to_bytes(own.p), q=to_bytes(own.q), dp=to_bytes(own.dmp1), dq=to_bytes(own.dmq1), qi=to_bytes(own.iqmp),
    )  # fmt: skip
    assert keys.import_key("plain", plain, hardware_protected=True).key_type == "RSA-HSM"
    assert keys.import_key("plain", plain, hardware_protected=False).key_type == "RSA-HSM"
    plain.kty, plain.d = "RSA", to_bytes(own.d + 2)
    with pytest.raises(HttpResponseError, match="RSA key is not valid"):
        keys.import_key("spoilt", plain)
    point, secret = ec_key().public_key().public_numbers(), ec_key().private_numbers().private_value
    curve = {
        "crv": "P-256",
        "x": point.x.to_bytes(32, "big"),
        "y": point.y.to_bytes(32, "big"),
        "d": secret.to_bytes(32, "big"),
    }
    assert keys.import_key("soft", JsonWebKey(kty="EC", **curve)).key_type == "EC"
    with pytest.raises(HttpResponseError, match="valid JsonWebKey"):
        keys.import_key("hard", JsonWebKey(kty="EC-HSM", **curve), hardware_protected=True)
    assert emulator.raw("PUT", "/keys/k", json={}).status_code == 400


def to_bytes(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def test_a_foreign_algorithm_in_pkcs8_is_refused(keys: KeyClient, kek: KeyVaultKey):
    plain = pkcs8(ed25519.Ed25519PrivateKey.generate())
    assert "not PKCS#8" in refusal(keys, blob_for(kek, rsa_key(), plain=plain).encoded())
