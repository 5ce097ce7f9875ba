"""Trial data: any volume, a log that verifies, nothing that could act, and never by accident."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from cloudcreds.models import CloudCredential
from jobs.models import Job
from jobs.schedule.scans import find_claimable, scan_drift, scan_rotations
from keygroups.marks import facts_of_key
from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.core.errors import DeviceError
from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.verification import verify_service
from tests.hsm.conftest import device

__all__ = ["device"]

pytestmark = pytest.mark.django_db


def seed(**options) -> str:
    output = StringIO()
    call_command("seed", stdout=output, **{"groups": 3, "keys": 10, "logs": 400, **options})
    return output.getvalue()


def is_log_intact() -> bool:
    """Whether each chain verifies; no device has signed the trial data."""
    return all(verify_service(service).is_intact for service in Service)


def test_it_writes_what_was_asked_for_in_a_log_that_verifies():
    output = seed()
    assert "3 groups and 10 keys" in output
    assert (KeyGroup.objects.count(), Key.objects.count(), CloudVersion.objects.count()) == (3, 10, 10)
    counts = {
        name: LogEntry.objects.filter(service=name, data__seeded=True).count() for name in ("azure", "audit", "device")
    }
    assert counts == {"azure": 300, "audit": 80, "device": 20}
    assert LogEntry.objects.get(event="data.seeded").data == {"groups": 3, "keys": 10, "logs": 400}
    assert is_log_intact()


def test_more_can_be_added_and_time_never_runs_backwards():
    seed()
    seed(groups=2, keys=4, logs=100)
    assert KeyGroup.objects.count() == 5
    times = list(LogEntry.objects.filter(service="azure").order_by("sequence").values_list("at", flat=True))
    assert times == sorted(times)
    assert is_log_intact()


def test_nothing_of_it_can_act(settings):
    seed()
    assert find_claimable() == []
    assert scan_rotations() == []
    assert scan_drift() == []
    assert Job.objects.filter(state__in=["queued", "running"]).count() == 0
    credential = CloudCredential.objects.get()
    assert bytes(credential.sealed_secret) == b""
    assert credential.authority_url.endswith(".invalid")


def test_no_device_opens_its_keys(device, settings):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True
    seed(logs=0)
    key = Key.objects.first()
    with pytest.raises(DeviceError) as refused:
        device.mark_key(facts_of_key(key))
    assert refused.value.code == "wrapped_key_mismatch"


def test_a_database_that_looks_like_production_is_left_alone(settings, tmp_path):
    settings.KMES_STAND_IN_URL, settings.KMES_INSECURE_HTTP, settings.KMES_STATE_DIR = "", False, tmp_path
    with pytest.raises(CommandError, match="yes-really"):
        seed()
    assert not KeyGroup.objects.exists()
    seed(yes_really=True)


def test_the_state_folder_of_make_run_needs_no_variables(settings, tmp_path):
    settings.KMES_STAND_IN_URL, settings.KMES_INSECURE_HTTP, settings.KMES_STATE_DIR = "", False, tmp_path
    (tmp_path / "azure_emulator").mkdir()
    (tmp_path / "azure_emulator" / "ca.pem").touch()
    assert "3 groups" in seed(logs=0)


def test_credentials_of_the_real_azure_make_it_production(settings):
    seed(logs=0)
    CloudCredential.objects.update(cloud="public")
    with pytest.raises(CommandError, match="real Azure"):
        seed()


@pytest.mark.parametrize("options", [{"groups": 0}, {"keys": -1}, {"keys": 0, "logs": 5}])
def test_what_makes_no_sense_is_refused(options):
    with pytest.raises(CommandError):
        seed(**options)
