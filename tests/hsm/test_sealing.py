"""Anybody may seal a secret; only the device opens it, and only for the destination it was sealed for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hsm.marks import digest, seal_context
from hsm.sealing import seal
from kmes.core.errors import DeviceError
from kmes.core.ids import new_uuid
from kmes.core.secret_types import SecretText
from tests.hsm.conftest import open_device
from tests.hsm.destinations import CREDENTIAL, destination_of, make_facts

HOLDER = "client secret"


@pytest.fixture(autouse=True)
def _no_database(settings, db):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True


def sealed_by(device, text="secret"):
    """A text sealed for the place of the tests."""
    facts = make_facts(id=CREDENTIAL)
    aad = seal_context(facts.id, HOLDER, facts.place)
    return seal(SecretText(text), aad=aad, mfk_public_spki=device.mfk_public_spki())


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
@hypothesis_settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_what_was_sealed_is_opened(device, text):
    sealed = sealed_by(device, text)
    assert device.open_secret(destination_of(device, sealed), sealed, holder=HOLDER).reveal() == text
    assert len(text) < 6 or text.encode() not in sealed


def test_a_secret_of_another_destination_is_not_opened(device):
    one, two = (sealed_by(device) for _ in range(2))
    with pytest.raises(DeviceError) as refused:
        device.open_secret(destination_of(device, one), two, holder=HOLDER)
    assert refused.value.code == "not_of_destination"


def test_without_a_verified_destination_nothing_is_opened(device):
    sealed = sealed_by(device)
    claim = SimpleNamespace(credential=make_facts(secret=digest(sealed)))
    with pytest.raises(TypeError, match="marks were checked"):
        device.open_secret(claim, sealed, holder=HOLDER)


@pytest.mark.parametrize("name", ["id", "cloud", "tenant_id", "client_id", "authority_url", "arm_url"])
def test_another_row_or_place_does_not_open_it_even_if_it_was_marked(name, device):
    sealed = sealed_by(device)
    changed = {name: new_uuid() if name == "id" else "other"}
    with pytest.raises(DeviceError) as refused:
        device.open_secret(destination_of(device, sealed, **changed), sealed, holder=HOLDER)
    assert refused.value.code == "sealed_damaged"


def test_another_holder_does_not_open_it(device):
    sealed = sealed_by(device)
    with pytest.raises(DeviceError) as refused:
        device.open_secret(destination_of(device, sealed), sealed, holder="certificate 1")
    assert refused.value.code == "sealed_damaged"


def test_a_secret_is_sealed_for_a_new_place_without_leaving_the_device_layer(device):
    sealed = seal(SecretText("secret"), aad=b"former", mfk_public_spki=device.mfk_public_spki())
    moved = device.reseal(destination_of(device, sealed), sealed, former=b"former", holder=HOLDER)
    assert device.open_secret(destination_of(device, moved), moved, holder=HOLDER).reveal() == "secret"
    with pytest.raises(DeviceError) as refused:
        device.reseal(destination_of(device, sealed), sealed, former=b"another", holder=HOLDER)
    assert refused.value.code == "sealed_damaged"


def test_another_device_does_not_open_it(own, tmp_path):
    device, _folder = own
    sealed = sealed_by(device)
    device._session._forget()
    other = open_device(tmp_path / "other")
    with pytest.raises(DeviceError) as refused:
        other.open_secret(destination_of(other, sealed), sealed, holder=HOLDER)
    assert refused.value.code == "sealed_damaged"


@pytest.mark.parametrize("place", [0, 4, 40, -1])
def test_a_changed_envelope_is_refused(place, device):
    sealed = bytearray(sealed_by(device))
    sealed[place] ^= 1
    with pytest.raises(DeviceError):
        device.open_secret(destination_of(device, bytes(sealed)), bytes(sealed), holder=HOLDER)


def test_a_secret_does_not_show_itself():
    secret = SecretText("emulator-secret")
    assert "emulator-secret" not in f"{secret} {secret!r} {[secret]}"
