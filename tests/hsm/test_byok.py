"""The blob carries exactly the key's PKCS#8 DER, for every key type, read by implementations not ours."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives import keywrap, serialization
from hypothesis import given
from hypothesis import strategies as st

from hsm import byok, keys
from hsm.types import KeySpec
from kmes.core.errors import DeviceError
from tests.hsm.destinations import destination_of_key
from tests.hsm.marked_keys import make_key, make_verified
from tests.hsm.unwrapping import Kek

SPKI = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def keks():
    return {bits: Kek(bits) for bits in (2048, 3072, 4096)}


def wrapped(device, key, kek):
    return device.wrap_for_kek(
        key, destination_of_key(device, key), kek_modulus=kek.numbers.n, kek_exponent=kek.numbers.e
    )


@pytest.fixture(autouse=True)
def _in_a_transaction(settings):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True


@pytest.mark.parametrize("spec", KeySpec)
def test_two_other_implementations_read_the_exact_key(spec, device, keks, tmp_path):
    key, kek = make_verified(device, spec), keks[spec.kek_bits]
    ciphertext = wrapped(device, key, kek)
    der = kek.open_with_cryptography(ciphertext)
    assert kek.open_with_openssl(ciphertext, tmp_path) == der
    assert byok.der_length(der) == len(der), "something follows the DER"
    private = serialization.load_der_private_key(der, None)
    assert private.public_key().public_bytes(*SPKI) == key.facts.public_spki


@pytest.mark.parametrize("spec", [KeySpec.RSA_2048, KeySpec.P_256])
def test_what_is_stored_is_not_the_key(spec, device, keks):
    key, kek = make_verified(device, spec), keks[spec.kek_bits]
    der = kek.open_with_cryptography(wrapped(device, key, kek))
    assert der[8:24] not in key.facts.wrapped_private
    with pytest.raises(ValueError, match=r"[Cc]ould not"):
        serialization.load_der_private_key(key.facts.wrapped_private, None)


def test_each_wrap_uses_a_key_of_its_own(device, keks):
    key, kek = make_verified(device, KeySpec.P_256), keks[3072]
    assert wrapped(device, key, kek) != wrapped(device, key, kek)


@pytest.mark.parametrize("spec", [KeySpec.RSA_2048, KeySpec.P_256, KeySpec.P_256K])
def test_a_wrapped_key_with_the_public_half_of_another_is_refused_even_if_it_was_marked(spec, device, keks):
    other, _mark = make_key(device, spec)
    key = make_verified(device, spec, wrapped_private=other.wrapped_private)
    with pytest.raises(DeviceError) as refused:
        wrapped(device, key, keks[2048])
    assert refused.value.code == "wrapped_key_mismatch"


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_damaged_wrapped_key_is_refused_even_if_it_was_marked(place, device, keks):
    facts, _mark = make_key(device, KeySpec.P_256)
    changed = bytearray(facts.wrapped_private)
    changed[place] ^= 1
    key = make_verified(device, KeySpec.P_256, wrapped_private=bytes(changed), public_spki=facts.public_spki)
    with pytest.raises(DeviceError) as refused:
        wrapped(device, key, keks[3072])
    assert refused.value.code == "wrapped_key_mismatch"


def test_a_key_whose_mark_was_not_checked_is_not_wrapped(device, keks):
    facts, _mark = make_key(device, KeySpec.P_256)
    with pytest.raises(TypeError, match="whose marks were checked"):
        wrapped(device, SimpleNamespace(facts=facts), keks[3072])


def test_a_token_whose_wrap_is_not_exact_and_that_is_hardware_is_refused(device, keks):
    def attempt(session, ready):
        made = keys.generate(session, ready.keys.pmk, KeySpec.P_256)
        spec, spki = KeySpec.P_256, made.public_spki
        with keys.unwrapped(ready.keys.pmk, spec, made.wrapped_private, spki, is_working=lambda: True) as private:
            numbers = keks[3072].numbers
            return byok.wrap(session, private, modulus=numbers.n, exponent=numbers.e, exact=False, software=False)

    with pytest.raises(DeviceError) as refused:
        device._run(attempt)
    assert refused.value.code == "not_conformant"


@given(st.binary(min_size=0, max_size=300), st.integers(0, 7))
def test_repair_removes_the_padding_and_nothing_else(content, zeros):
    secret = bytes(range(32))
    body = len(content).to_bytes(2)
    der = b"\x30\x82" + body + content
    padded = der + bytes(zeros)
    repaired = byok.repair(secret, keywrap.aes_key_wrap_with_padding(secret, padded))
    assert keywrap.aes_key_unwrap_with_padding(secret, repaired) == der


@pytest.mark.parametrize("tail", [b"\x01", b"\x00" * 8, b"\x00\x00\x02"])
def test_repair_refuses_what_is_not_the_known_padding(tail):
    secret, der = bytes(32), b"\x30\x03\x02\x01\x05"
    with pytest.raises(DeviceError):
        byok.repair(secret, keywrap.aes_key_wrap_with_padding(secret, der + tail))


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x04\x01\x00", b"\x30\x80\x00\x00"])
def test_what_is_no_der_sequence_has_no_length(der):
    with pytest.raises(DeviceError):
        byok.der_length(der)
