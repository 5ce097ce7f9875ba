"""The token under threads, forks, absence, replacement and a wrong PIN."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from hsm.device import get_device
from hsm.session import find_module
from hsm.types import KeySpec
from hsm.verified import VerifiedKey
from kmes.core.errors import DeviceError
from tests.hsm.conftest import open_device
from tests.hsm.marked_keys import make_key, verify


@pytest.fixture(autouse=True)
def _no_database(settings, db):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True


def test_eight_threads_use_it_at_once(device):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _number: make_key(device, KeySpec.P_256)[1], range(40)))
    assert len(set(made)) == 40


def test_a_child_process_opens_it_anew_and_the_parent_goes_on(device):
    before = device.identity().serial
    child = os.fork()
    if child == 0:
        # Exit codes only: nothing of pytest may run twice.
        try:
            os._exit(0 if device.identity().serial == before and make_key(device, KeySpec.P_256) else 3)
        except BaseException:  # noqa: BLE001 - the parent reads the code
            os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert make_key(device, KeySpec.P_256)


def test_a_token_that_went_and_came_back_serves_again_without_a_restart(own):
    device, folder = own
    facts, mark = make_key(device, KeySpec.P_256)
    shutil.move(folder / "tokens", folder / "away")
    (folder / "tokens").mkdir()
    with pytest.raises(DeviceError) as gone:
        device.check_health()
    assert gone.value.retryable
    shutil.rmtree(folder / "tokens")
    shutil.move(folder / "away", folder / "tokens")
    device.check_health()
    assert isinstance(verify(device, facts, mark), VerifiedKey)
    assert make_key(device, KeySpec.P_256)


def test_a_replaced_token_is_not_used(own, tmp_path):
    device, folder = own
    device.check_health()
    device._session._forget()
    other = tmp_path / "other"
    open_device(other)._session._forget()
    shutil.rmtree(folder / "tokens")
    shutil.copytree(other / "hsm" / "tokens", folder / "tokens")
    shutil.copy(other / "hsm" / "pin", folder / "pin")
    with pytest.raises(DeviceError) as replaced:
        for _try in range(2):
            device._session._forget()
            device.check_health()
    assert replaced.value.code == "device_replaced"


def test_a_wrong_pin_is_tried_once_only(own):
    device, folder = own
    right = (folder / "pin").read_text()
    (folder / "pin").write_text("not the pin")
    device._session._forget()
    for _try in range(5):
        with pytest.raises(DeviceError) as refused:
            device.check_health()
        assert refused.value.code == "pin_wrong"
        assert "not the pin" not in str(refused.value)
    (folder / "pin").write_text(right)
    os.utime(folder / "pin", ns=(1, 1))
    device.check_health()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_pin_that_others_may_read_is_refused(mode, own):
    device, folder = own
    (folder / "pin").chmod(mode)
    device._session._forget()
    with pytest.raises(DeviceError, match="chmod 600") as refused:
        device.check_health()
    assert refused.value.code == "pin_file"


def test_a_missing_and_an_empty_pin_file_are_named(own):
    device, folder = own
    (folder / "pin").write_text("")
    device._session._forget()
    with pytest.raises(DeviceError, match="is empty"):
        device.check_health()
    (folder / "pin").unlink()
    with pytest.raises(DeviceError, match="can't be read"):
        device.check_health()


def test_a_missing_library_is_named(settings):
    with pytest.raises(DeviceError, match="softhsm2"):
        find_module("/nowhere/libpkcs11.so")


@pytest.mark.parametrize("process", ["web", "beat", "reports"])
def test_only_workers_and_the_command_line_get_a_device(process, settings):
    settings.KMES_PROCESS = process
    with pytest.raises(DeviceError) as refused:
        get_device()
    assert refused.value.code == "not_allowed"


def test_it_is_never_asked_inside_a_transaction(device, settings):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = False
    with pytest.raises(AssertionError):
        device.check_health()
