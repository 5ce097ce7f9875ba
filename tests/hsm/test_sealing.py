"""Anybody may seal a secret; only the device opens it, and only for the row it was sealed for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hsm.marks import digest
from hsm.sealing import seal
from kmes.core.errors import DeviceError
from kmes.core.secret_types import SecretText
from tests.hsm.conftest import open_device
from tests.hsm.destinations import destination_of, make_facts


@pytest.fixture(autouse=True)
def _no_database(settings, db):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
@hypothesis_settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_what_was_sealed_is_opened(device, text):
    sealed = seal(SecretText(text), aad=b"row", mfk_public_spki=device.mfk_public_spki())
    assert device.open_secret(destination_of(device, sealed), sealed, aad=b"row").reveal() == text
    assert len(text) < 6 or text.encode() not in sealed


def test_a_secret_of_another_destination_is_not_opened(device):
    one, two = (seal(SecretText("secret"), aad=b"row", mfk_public_spki=device.mfk_public_spki()) for _ in range(2))
    with pytest.raises(DeviceError) as refused:
        device.open_secret(destination_of(device, one), two, aad=b"row")
    assert refused.value.code == "not_of_destination"


def test_without_a_verified_destination_nothing_is_opened(device):
    sealed = seal(SecretText("secret"), aad=b"row", mfk_public_spki=device.mfk_public_spki())
    claim = SimpleNamespace(credential=make_facts(secret=digest(sealed)))
    with pytest.raises(TypeError, match="marks were checked"):
        device.open_secret(claim, sealed, aad=b"row")


def test_another_row_does_not_open_it(device):
    sealed = seal(SecretText("secret"), aad=b"one", mfk_public_spki=device.mfk_public_spki())
    with pytest.raises(DeviceError) as refused:
        device.open_secret(destination_of(device, sealed), sealed, aad=b"two")
    assert refused.value.code == "sealed_damaged"


def test_another_device_does_not_open_it(own, tmp_path):
    device, _folder = own
    sealed = seal(SecretText("secret"), aad=b"one", mfk_public_spki=device.mfk_public_spki())
    device._session._forget()
    other = open_device(tmp_path / "other")
    with pytest.raises(DeviceError) as refused:
        other.open_secret(destination_of(other, sealed), sealed, aad=b"one")
    assert refused.value.code == "sealed_damaged"


@pytest.mark.parametrize("place", [0, 4, 40, -1])
def test_a_changed_envelope_is_refused(place, device):
    sealed = bytearray(seal(SecretText("secret"), aad=b"one", mfk_public_spki=device.mfk_public_spki()))
    sealed[place] ^= 1
    with pytest.raises(DeviceError):
        device.open_secret(destination_of(device, bytes(sealed)), bytes(sealed), aad=b"one")


def test_a_secret_does_not_show_itself():
    secret = SecretText("emulator-secret")
    assert "emulator-secret" not in f"{secret} {secret!r} {[secret]}"
