"""A worker's scan lets the device sign where the log ends."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from hsm import device as hsm_device
from jobs.schedule import log_checkpoints
from jobs.tasks import scan_jobs
from kmes.core.errors import DeviceError
from logging_reports.anchors import hash_public_key, read_anchor
from logging_reports.models import LogCheckpoint


def test_the_device_signs_the_log_and_its_signature_verifies_outside(device, settings):
    settings.KMES_CHECKPOINT_SECONDS = 0
    # The device's registration is in the log by now.
    first = log_checkpoints.make_if_due()
    assert (first.number, log_checkpoints.make_if_due().number) == (1, 2)
    # The second one covers the row that names the key; now there is nothing new.
    assert log_checkpoints.make_if_due() is None
    statement = read_anchor(first.anchor.to_file()).verify()
    assert statement.key == hash_public_key(device.checkpoint_public_spki())
    output = StringIO()
    call_command("verify_log", "--key", statement.key, stdout=output)
    assert f"sha256:{statement.key}" in output.getvalue()


def test_the_scan_makes_one(device, redis_server):
    scan_jobs()
    assert LogCheckpoint.objects.count() == 1


def test_a_device_that_is_gone_leaves_the_checkpoint_owed_and_the_scan_whole(device, redis_server, monkeypatch):
    with monkeypatch.context() as gone:
        gone.setattr(hsm_device, "FORBIDDEN_PROCESSES", frozenset({"worker"}))
        with pytest.raises(DeviceError, match="may not use the device"):
            log_checkpoints.make_if_due()
        scan_jobs()
    assert not LogCheckpoint.objects.exists()
    scan_jobs()
    assert LogCheckpoint.objects.count() == 1
