"""Operations with real keys, and when they are not allowed."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm

from tests.azure_emulator.blobs import b64url
from tests.azure_emulator.harness import Emulator

PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)
HASHED = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
EC_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "ES256K": "P-256K"}


def digest_for(algorithm: str) -> bytes:
    return HASHED[algorithm.rstrip("K")[2:]](b"message").digest()


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", *EC_CURVES])
def test_a_signature_verifies_there_and_here(emulator: Emulator, keys: KeyClient, algorithm: str):
    curve = EC_CURVES.get(algorithm)
    key = keys.create_ec_key("k", curve=curve) if curve else keys.create_rsa_key("k", size=2048)
    digest = digest_for(algorithm)
    with emulator.crypto(key) as crypto:
        signed = crypto.sign(SignatureAlgorithm(algorithm), digest)
        assert signed.key_id == key.id
        # The SDK checks RSA and EC signatures itself, with the public key alone.
        assert crypto.verify(SignatureAlgorithm(algorithm), digest, signed.signature).is_valid
        assert not crypto.verify(SignatureAlgorithm(algorithm), digest[::-1], signed.signature).is_valid
    body = {"alg": algorithm, "digest": b64url(digest), "value": b64url(signed.signature)}
    assert emulator.raw("POST", "/keys/k//verify", json=body).json() == {"kid": key.id, "value": True}
    body["value"] = b64url(signed.signature[:-1] + bytes([signed.signature[-1] ^ 1]))
    assert emulator.raw("POST", "/keys/k//verify", json=body).json()["value"] is False


@pytest.mark.parametrize("algorithm", ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256"])
def test_what_is_encrypted_or_wrapped_comes_back(emulator: Emulator, keys: KeyClient, algorithm: str):
    crypto = emulator.crypto(keys.create_rsa_key("k", size=2048, hardware_protected=True))
    sealed = crypto.encrypt(EncryptionAlgorithm(algorithm), b"secret").ciphertext
    assert crypto.decrypt(EncryptionAlgorithm(algorithm), sealed).plaintext == b"secret"
    wrapped = crypto.wrap_key(KeyWrapAlgorithm(algorithm), bytes(32)).encrypted_key
    assert crypto.unwrap_key(KeyWrapAlgorithm(algorithm), wrapped).key == bytes(32)
    for there, back in (("encrypt", "decrypt"), ("wrapkey", "unwrapkey")):
        sealed_there = emulator.raw("POST", f"/keys/k/{there}", json={"alg": algorithm, "value": "c2VjcmV0"}).json()
        opened = emulator.raw("POST", f"/keys/k/{back}", json={"alg": algorithm, "value": sealed_there["value"]}).json()
        assert opened["value"] == "c2VjcmV0"


@pytest.mark.parametrize(
    ("operation", "body", "said"),
    [
        ("sign", {"alg": "ES256", "value": "A" * 43}, "not supported by key type RSA"),
        (
            "sign",
            {"alg": "RS256", "value": "AAAA"},
            "Invalid length of 'value': 3 bytes. RS256 requires 32 bytes, encoded with base64url.",
        ),
        ("sign", {"alg": "none", "value": "A" * 43}, "not supported"),
        ("sign", {"value": "A" * 43}, "'alg'"),
        ("sign", {"alg": "RS256"}, "'value'"),
        ("sign", {"alg": "RS256", "value": "*"}, "base64url"),
        ("encrypt", {"alg": "RSA-OAEP", "value": "A" * 400}, "too long"),
        ("encrypt", {"alg": "A256GCM", "value": "AAAA"}, "not supported"),
        ("decrypt", {"alg": "RSA-OAEP", "value": "AAAA"}, "could not be decrypted"),
    ],
)
def test_a_senseless_operation_is_400(
    emulator: Emulator, keys: KeyClient, operation: str, body: dict[str, str], said: str
):
    keys.create_rsa_key("k")
    answer = emulator.raw("POST", f"/keys/k/{operation}", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")
    assert said in answer.json()["error"]["message"]


def test_an_algorithm_of_another_curve_is_named_with_both(emulator: Emulator, keys: KeyClient):
    kid = keys.create_ec_key("k", curve="P-256K").id
    answer = emulator.raw("POST", "/keys/k/sign", json={"alg": "ES256", "value": "A" * 43})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == (
        f"Key and signing algorithm are incompatible. Key {kid} uses curve 'P-256K', and algorithm 'ES256' can only be used "
        "with curve 'P-256'."
    )


def refusal(emulator: Emulator, operation: str) -> tuple[str, str | None]:
    value = "A" * 43
    body = {
        "alg": "RSA-OAEP" if "crypt" in operation or "wrap" in operation else "RS256",
        "value": value,
        "digest": value,
    }
    answer = emulator.raw("POST", f"/keys/k/{operation}", json=body)
    if answer.status_code != 403:
        return str(answer.status_code), None
    error = answer.json()["error"]
    return error["message"], error.get("innererror", {}).get("code")


def test_a_disabled_version_does_nothing_but_can_be_read(emulator: Emulator, keys: KeyClient):
    keys.create_rsa_key("k", enabled=False)
    for operation in ("sign", "verify", "decrypt"):
        assert refusal(emulator, operation) == (
            f"Operation {operation} is not allowed on a disabled key.",
            "KeyDisabled",
        )
    assert keys.get_key("k").properties.enabled is False


@pytest.mark.parametrize("times", [{"expires_on": PAST}, {"not_before": FUTURE}])
def test_outside_its_times_a_key_only_opens_and_verifies(
    emulator: Emulator, keys: KeyClient, times: dict[str, datetime]
):
    keys.create_rsa_key("k", **times)
    for operation in ("sign", "encrypt", "wrapkey"):
        assert refusal(emulator, operation)[0].startswith("Operation ")
    assert refusal(emulator, "verify")[0] == "200"
    for operation in ("decrypt", "unwrapkey"):
        assert refusal(emulator, operation)[0] == "400"


def test_an_operation_outside_key_ops_is_refused(emulator: Emulator, keys: KeyClient):
    keys.create_rsa_key("k", key_operations=["sign"])
    assert refusal(emulator, "decrypt") == ("Operation decrypt is not permitted on this key.", "KeyOperationForbidden")
    keys.create_rsa_key("k", key_operations=[])
    assert refusal(emulator, "sign")[0] == "Operation sign is not permitted on this key."


def test_older_versions_work_by_their_own_id(emulator: Emulator, keys: KeyClient):
    older = keys.create_ec_key("k")
    keys.create_ec_key("k", enabled=False)
    assert emulator.crypto(older).sign(SignatureAlgorithm.es256, bytes(32)).key_id == older.id
    with pytest.raises(HttpResponseError) as caught:
        emulator.crypto(f"{emulator.url()}/keys/k").sign(SignatureAlgorithm.es256, bytes(32))
    assert caught.value.status_code == 403
