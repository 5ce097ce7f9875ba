"""An attacker who can write to the database exchanges the MFK's public half, to read the next secret."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.management import CommandError, call_command
from django.urls import reverse

from cloudcreds.models import CloudCredential
from cloudcreds.services import create_credential, update_credential
from hsm.mfk_guard import MfkState, state_of_mfk, watch_mfk
from hsm.models import HsmDevice
from kmes.core.errors import DeviceError
from kmes.core.pinned_keys import KeyUse, PinnedKeysError, pin, read_pinned
from kmes.core.public_keys import fingerprint
from kmes.dashboard.attention.facts import collect
from kmes.dashboard.heartbeats import Heartbeats
from kmes.dashboard.selectors import find_device
from logging_reports.models import LogEntry, Notice
from tests.cloudcreds.builders import SECRET, typed, values
from tests.cloudcreds.conftest import admin, credential, device_row, mfk, people
from tests.hsm.conftest import device
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "credential", "device", "device_row", "log_can_be_flushed", "mfk", "people"]

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def strange_mfk():
    """The public half of a key whose private half the attacker has."""
    public = rsa.generate_private_key(65537, 2048).public_key()
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def exchanged(device_row, strange_mfk):
    """The database after the attack."""
    HsmDevice.objects.filter(pk=device_row.pk).update(mfk_public_spki=strange_mfk)
    return device_row


def events() -> list[str]:
    return list(
        LogEntry.objects.filter(event__startswith="device.mfk").order_by("sequence").values_list("event", flat=True)
    )


def test_no_secret_is_sealed_under_an_exchanged_mfk(exchanged, admin):
    with pytest.raises(DeviceError) as refused:
        create_credential(values=values(secret=SECRET), actor=admin)
    assert "is not the pinned one" in refused.value.what
    assert not CloudCredential.objects.exists()


def test_no_new_secret_of_a_credential_is_sealed_under_it_either(credential, admin, strange_mfk):
    HsmDevice.objects.update(mfk_public_spki=strange_mfk)
    before = bytes(credential.sealed_secret)
    with pytest.raises(DeviceError):
        update_credential(
            credential=credential, values=values(secret="another"), lock_version=credential.lock_version, actor=admin
        )
    credential.refresh_from_db()
    assert bytes(credential.sealed_secret) == before


def test_a_second_device_that_was_slipped_in_as_designated_is_refused_too(device_row, admin, strange_mfk):
    HsmDevice.objects.update(is_designated=False)
    HsmDevice.objects.create(serial="X", label="KMES", mfk_public_spki=strange_mfk, is_designated=True)
    with pytest.raises(DeviceError):
        create_credential(values=values(secret=SECRET), actor=admin)


def test_the_page_says_so_and_the_alarm_goes_off_once(exchanged, client, people):
    client.force_login(people["admin"])
    for _time in range(2):
        answer = client.post(reverse("cloudcreds:add"), typed())
        assert "is not the pinned one" in answer.content.decode().replace("&#x27;", "'")
    assert events() == ["device.mfk_changed"]
    assert Notice.objects.filter(event="device.mfk_changed").count() == 1
    assert "not the pinned one" in LogEntry.objects.get(event="device.mfk_changed").message


def test_the_scan_raises_the_alarm_before_anybody_types_a_secret(exchanged, mfk):
    assert (watch_mfk(), watch_mfk()) == (MfkState.CHANGED, MfkState.CHANGED)
    right = mfk.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    HsmDevice.objects.filter(pk=exchanged.pk).update(mfk_public_spki=right)
    assert (watch_mfk(), watch_mfk()) == (MfkState.OK, MfkState.OK)
    assert events() == ["device.mfk_changed", "device.mfk_returned"]


def test_the_home_page_and_readyz_show_it(exchanged, client):
    facts = collect(Heartbeats(redis_up=True, beat_alive=True, workers=()), find_device())
    assert "is not the pinned one" in next(fact.detail for fact in facts if fact.matter == "mfk")
    assert client.get("/readyz").json()["notes"]["mfk"] == "changed"


def test_without_a_pinned_key_nothing_is_sealed(device_row, admin, settings, tmp_path):
    settings.KMES_PINNED_KEYS_FILE = tmp_path / "none.json"
    with pytest.raises(DeviceError) as refused:
        create_credential(values=values(secret=SECRET), actor=admin)
    assert "hsm_init" in refused.value.remedy
    assert state_of_mfk() == MfkState.UNPINNED


@pytest.mark.parametrize("content", ["", "[]", '{"mfk": "x"}', '{"mfk": [1]}', '{"mfk": ["sha256"]}', '{"mfk": {}}'])
def test_a_damaged_file_of_pinned_keys_pins_nothing(content, device_row, admin, settings, tmp_path, strange_mfk):
    settings.KMES_PINNED_KEYS_FILE = tmp_path / "keys.json"
    settings.KMES_PINNED_KEYS_FILE.write_text(content)
    assert state_of_mfk() == MfkState.UNREADABLE
    with pytest.raises(DeviceError):
        create_credential(values=values(secret=SECRET), actor=admin)
    with pytest.raises(PinnedKeysError):
        pin({KeyUse.MFK: fingerprint(strange_mfk)})


@pytest.mark.django_db(transaction=True)
class TestHsmInit:
    """The command that pins."""

    def test_it_pins_what_the_device_says_and_not_what_the_database_says(self, device, strange_mfk):
        call_command("hsm_init", verbosity=0)
        true = fingerprint(device.mfk_public_spki())
        assert read_pinned(KeyUse.MFK) == (true,)
        HsmDevice.objects.update(mfk_public_spki=strange_mfk)
        assert state_of_mfk() == MfkState.CHANGED
        call_command("hsm_init", verbosity=0)
        assert (read_pinned(KeyUse.MFK), state_of_mfk()) == ((true,), MfkState.OK)

    def test_it_refuses_another_device_until_it_is_told(self, device, strange_mfk, settings):
        settings.KMES_PINNED_KEYS_FILE.write_text(json.dumps({"mfk": [fingerprint(strange_mfk)]}))
        with pytest.raises(CommandError, match="--pin-new-keys"):
            call_command("hsm_init", verbosity=0)
        assert not HsmDevice.objects.exists()
        call_command("hsm_init", pin_new_keys=True, verbosity=0)
        assert set(read_pinned(KeyUse.MFK)) == {fingerprint(strange_mfk), fingerprint(device.mfk_public_spki())}
        assert LogEntry.objects.filter(event="device.keys_pinned").count() == 1
