"""The check of transfer blobs under random damage: always a refusal, never a crash."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from azure_emulator.keyvault import byok, der
from azure_emulator.keyvault.errors import ServiceError
from azure_emulator.keyvault.material import to_pem
from azure_emulator.keyvault.model import make_version
from tests.azure_emulator.blobs import Blob, b64url, ec_key, pkcs8, rsa_key

KID = "https://v.vault.azure.net/keys/kek/" + "0" * 32
KEK = make_version("0" * 32, "RSA-HSM", rsa_key(), to_pem(rsa_key()), 0, "generated")
KEK.key_ops = ["import"]


def blob(plain: bytes) -> Blob:
    return Blob(kid=KID, kek=rsa_key().public_key(), plain=plain)


def check(document: object) -> object:
    return byok.open_blob(b64url(json.dumps(document).encode()), lambda kid: KEK, 1.0)


def test_an_undamaged_blob_opens() -> None:
    assert isinstance(check(blob(pkcs8(rsa_key())).document()), rsa.RSAPrivateKey)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_of_the_ciphertext_is_refused(data: st.DataObject) -> None:
    good = blob(pkcs8(ec_key()))
    raw = bytearray(good.ciphertext())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ServiceError) as caught:
        check(good.document() | {"ciphertext": b64url(bytes(raw))})
    assert caught.value.status == 400


@settings(max_examples=60, deadline=None)
@given(tail=st.binary(min_size=1, max_size=40))
def test_any_bytes_behind_the_key_are_refused(tail: bytes) -> None:
    with pytest.raises(ServiceError, match="bytes follow"):
        check(blob(pkcs8(ec_key()) + tail).document())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_key_is_refused_or_is_another_whole_key(data: st.DataObject) -> None:
    raw = bytearray(pkcs8(ec_key()))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ServiceError) as caught:
        check(blob(bytes(raw)).document())
    assert caught.value.code == "BadParameter"


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=80))
def test_random_bytes_are_no_private_key_info(raw: bytes) -> None:
    with pytest.raises(der.DerError):
        der.check_private_key_info(raw)


@settings(max_examples=100, deadline=None)
@given(
    document=st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.dictionaries(
            st.sampled_from(["schema_version", "header", "ciphertext", "kid", "alg", "enc"]), inner
        ),
    )
)
def test_any_other_document_is_refused(document: object) -> None:
    with pytest.raises(ServiceError):
        check(document)
