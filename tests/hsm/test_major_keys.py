"""PMK, MFK and sentinel: made once, found ever after, compared by check values."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from pkcs11 import Attribute, KeyType

from hsm import self_test
from kmes.core.errors import DeviceError
from tests.hsm.conftest import open_device


@pytest.fixture(autouse=True)
def _no_database(settings, db):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True


def test_they_are_made_once(own):
    device, _folder = own
    before = device.major_keys()
    assert device.initialise() == []
    assert device.major_keys() == before


def test_the_check_value_of_the_mfk_is_that_of_its_public_half(device):
    mfk = {key.name: key for key in device.major_keys()}["MFK"]
    spki = device.mfk_public_spki()
    assert mfk.check_value == hashlib.sha256(spki).hexdigest()[:6].upper()
    assert serialization.load_der_public_key(spki).key_size == 3072


def test_the_check_value_of_the_pmk_is_three_bytes_and_its_own(own, tmp_path):
    def value(one):
        return {key.name: key for key in one.major_keys()}["PMK"].check_value

    device, _folder = own
    first = value(device)
    assert len(bytes.fromhex(first)) == 3
    device._session._forget()
    assert value(open_device(tmp_path / "other")) != first


def test_a_second_object_of_one_name_stops_everything(own):
    device, _folder = own
    device._session.run(lambda session: session.generate_key(KeyType.AES, 256, label="KMES PMK", store=True))
    device._session._forget()
    with pytest.raises(DeviceError) as found:
        device.major_keys()
    assert found.value.code == "major_keys"


def test_the_private_halves_can_not_be_read(device):
    def attributes(_session, ready):
        keys = (ready.keys.pmk, ready.keys.mfk_private, ready.keys.sentinel_private)
        return [(key[Attribute.SENSITIVE], key[Attribute.EXTRACTABLE]) for key in keys]

    assert device._run(attributes) == [(True, False)] * 3


def test_the_self_test_knows_its_answers(device):
    results = device.self_test()
    assert [result.name for result in results] == [
        "Random numbers",
        "AES known answer",
        "RSA-OAEP round trip",
        "ECDSA sign and verify",
        "AES key wrap (RFC 5649)",
    ]
    assert all(result.ok for result in results), results


def test_a_device_that_answers_wrongly_fails_the_self_test(device, monkeypatch):
    monkeypatch.setattr(self_test, "AES_CIPHER", bytes(16))
    failed = [result.name for result in device.self_test() if not result.ok]
    assert failed == ["AES known answer"]
