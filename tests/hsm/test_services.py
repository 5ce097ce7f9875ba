"""Rows of devices: registered, one designated, changes of state logged once."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from hsm.models import HsmDevice
from hsm.services import designate, designated_device, record_availability, register_device
from hsm.types import DeviceIdentity, MajorKey
from kmes.core.actor import SYSTEM, Actor
from kmes.core.errors import DeviceError, PermissionRefused
from kmes.core.public_keys import fingerprint
from logging_reports.models import LogEntry

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _in_a_transaction(settings):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True


def registered(serial):
    identity = DeviceIdentity(serial, "KMES", "maker", "model", "1.0", "ab" * 32, ("AES_KEY_WRAP_PAD",))
    keys = [MajorKey("PMK", "AES-256", "AAAAAA"), MajorKey("MFK", "RSA-3072", "BBBBBB")]
    return register_device(identity=identity, keys=keys, mfk_public_spki=b"spki", actor=SYSTEM)


def test_the_first_device_becomes_the_designated_one():
    with pytest.raises(DeviceError) as none:
        designated_device()
    assert none.value.code == "not_designated"
    first, _second = registered("one"), registered("two")
    assert designated_device() == first
    assert HsmDevice.objects.filter(is_designated=True).count() == 1


def test_designating_takes_the_right_and_moves_the_mark(django_user_model):
    _first, second = registered("one"), registered("two")
    auditor = django_user_model.objects.create_user("aud", role="auditor")
    with pytest.raises(PermissionRefused):
        designate(device=second, actor=Actor.from_user(auditor))
    admin = django_user_model.objects.create_user("adm", role="admin")
    designate(device=second, actor=Actor.from_user(admin))
    assert designated_device() == second
    assert HsmDevice.objects.filter(is_designated=True).count() == 1


def test_a_change_of_state_is_logged_once():
    registered("one")
    for code in ("ok", "token_missing", "token_missing", "ok", "ok", "device_replaced"):
        record_availability(code=code)
    events = LogEntry.objects.filter(event__startswith="device.").order_by("sequence").values_list("event", flat=True)
    assert list(events)[2:] == ["device.unavailable", "device.returned", "device.replaced"]


def test_hsm_init_twice_leaves_one_device_and_the_same_keys(device):
    call_command("hsm_init", verbosity=0)
    before = HsmDevice.objects.values("serial", "pmk_kcv", "mfk_kcv", "sentinel_hash").get()
    call_command("hsm_init", verbosity=0)
    assert HsmDevice.objects.values("serial", "pmk_kcv", "mfk_kcv", "sentinel_hash").get() == before


def test_hsm_init_says_and_registers_whose_key_signs_reports(device, capsys):
    call_command("hsm_init")
    printed = capsys.readouterr().out
    registered_spki = bytes(HsmDevice.objects.get().report_spki)
    assert registered_spki == device.sign_report(b'{"type": "kmes-test"}').public_spki
    assert f"Report key P-256 SHA-256 {fingerprint(registered_spki)}" in printed
