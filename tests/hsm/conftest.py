"""Real SoftHSM tokens: one shared by all tests of a process, and fresh ones to be mishandled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hsm.device import Device, get_device
from hsm.emulator import create_token
from hsm.session import find_module
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["log_can_be_flushed"]


def open_device(state_dir):
    """A device of its own below ``state_dir``, with major keys."""
    pin_file = create_token(state_dir)
    device = Device(
        module=find_module(""), label="KMES", pin_file=pin_file, softhsm_conf=state_dir / "hsm" / "softhsm2.conf"
    )
    device.initialise()
    return device


@pytest.fixture
def device():
    """The device of this process, as a worker has it; tests leave nothing in it."""
    create_token(Path(os.environ["KMES_STATE_DIR"]))
    device = get_device()
    device.initialise()
    return device


@pytest.fixture
def own(tmp_path):
    """A device that the test may break, and its folder.

    A process has one PKCS#11 library and one SoftHSM configuration, so the process's own device is
    let go before, and this one after.
    """
    get_device()._session._forget()
    device = open_device(tmp_path)
    yield device, tmp_path / "hsm"
    device._session._forget()
    os.environ["SOFTHSM2_CONF"] = str(Path(os.environ["KMES_STATE_DIR"]) / "hsm" / "softhsm2.conf")
