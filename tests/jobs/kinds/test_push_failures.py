"""A push that is refused, disturbed or cancelled says why, and leaves nothing behind."""

from __future__ import annotations

import pytest

from cloudcreds.azure.clients import forget_clients
from hsm.device import get_device
from jobs import services
from jobs.engine import run
from jobs.journal import kek_sweep
from jobs.kinds.synchronize.spec import keys_to_synchronize, request_synchronize
from jobs.models import Job
from keygroups.models import Key
from kmes.core.clock import now
from kmes.core.errors import DeviceError
from logging_reports.models import LogEntry
from tests.jobs.builders import CLIENT, make_credential, make_group, make_keys, messages, work
from tests.jobs.observer import VaultObserver

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_key_whose_row_was_damaged_fails_alone_and_its_announced_import_is_taken_back(group, admin, vault):
    keys = make_keys(group, "one", "two", "three", actor=admin)
    damaged = bytes(keys[1].wrapped_private)
    Key.objects.filter(pk=keys[1].pk).update(wrapped_private=damaged[:-1] + bytes([damaged[-1] ^ 1]))
    job = work(request_synchronize(keys=keys, actor=admin))
    assert (job.state, job.error_what) == ("partly_failed", "2 of 3 imported, 1 refused.")
    assert list(job.targets.values_list("state", flat=True)) == ["done", "failed", "done"]
    assert "does not carry this device's mark" in job.targets.get(key=keys[1]).detail
    assert list(job.intents.order_by("sent_at", "pk").values_list("state", flat=True)).count("void") == 1
    assert not job.intents.filter(state__in=["pending", "unknown"]).exists()
    assert len(vault.versions("payments")) == 2
    assert vault.keks() == []


class LeavingDevice:
    """The real device, which is gone when it is asked to wrap for the third time, and back after that."""

    def __init__(self, device):
        self._device, self._asked = device, 0

    def __getattr__(self, name):
        """Be the real one in all else."""
        return getattr(self._device, name)

    def wrap_for_kek(self, key, destination, **kek):
        """Wrap, or be gone."""
        self._asked += 1
        if self._asked == 3:
            raise DeviceError("The device failed (DeviceRemoved).", retryable=True, code="device_failed")
        return self._device.wrap_for_kek(key, destination, **kek)


def test_a_device_that_leaves_in_the_middle_costs_no_key_that_was_imported_before(group, admin, vault, monkeypatch):
    keys = make_keys(group, "one", "two", "three", "four", actor=admin)
    device = LeavingDevice(get_device())
    monkeypatch.setattr(run, "get_device", lambda: device)
    job = work(request_synchronize(keys=keys, actor=admin))
    assert (job.state, job.waiting_for) == ("queued", "The device failed (DeviceRemoved).")
    assert list(job.targets.values_list("state", flat=True)) == ["done", "done", "pending", "pending"]
    assert list(job.steps.filter(state="failed").values_list("name", flat=True)) == ["wrap_key", "import_key"]
    assert sorted(job.intents.values_list("state", flat=True)) == ["ok", "ok", "void", "void"]
    Job.objects.filter(pk=job.pk).update(run_after=now())
    assert work(job).state == "succeeded"
    assert list(job.steps.exclude(state="done")) == []
    known = group.cloud_versions.values_list("azure_version", flat=True)
    assert sorted(vault.versions("payments")) == sorted(known)
    assert [version.key.name for version in group.cloud_versions.order_by("ordinal")] == ["one", "two", "three", "four"]


def test_throttling_is_waited_out(group, admin, vault, azure_stand_in):
    (key,) = make_keys(group, "one", actor=admin)
    azure_stand_in.control(
        "POST", "/_emulator/faults", {"method": "PUT", "path": "/keys/payments.*", "status": 429, "retry_after": 1}
    )
    assert work(request_synchronize(keys=[key], actor=admin)).state == "succeeded"
    assert len(vault.versions("payments")) == 1


@pytest.mark.parametrize("missing", ["get", "list", "create", "import", "delete", "purge"])
def test_a_missing_permission_is_named_and_leaves_nothing_half_done(missing, group, admin, vault, azure_stand_in):
    allowed = ["get", "list", "create", "import", "update", "delete", "recover", "purge", "sign", "verify"]
    (key,) = make_keys(group, "one", actor=admin)
    client = {"client_id": CLIENT, "permissions": [word for word in allowed if word != missing]}
    azure_stand_in.control("POST", "/_emulator/clients", client)
    job = work(request_synchronize(keys=[key], actor=admin))
    text = " ".join([job.error_what, job.error_remedy, *messages(job)])
    assert missing in text.lower()
    azure_stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "permissions": [*allowed]})
    kek_sweep.sweep()
    # What may be withheld on purpose is no warning, and the vault removes the deleted KEK by itself.
    assert len(vault.keks()) == (1 if missing == "purge" else 0)
    if missing in {"delete", "purge"}:
        assert job.state == ("warned" if missing == "delete" else "succeeded")
    else:
        assert job.state == "failed"
        assert vault.versions("payments") == []
        assert key.cloud_versions.get().state == "failed"


def test_a_standard_vault_is_refused_with_the_reason(credential, admin, azure_stand_in):
    group = make_group(credential, azure_stand_in.vault_url("kv-standard"), name="standard")
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "failed"
    assert "Premium" in job.error_what + job.error_remedy


def test_in_a_purge_protected_vault_the_kek_is_deleted_and_its_purge_left_to_azure(credential, admin, azure_stand_in):
    group = make_group(credential, azure_stand_in.vault_url("kv-protected"), name="protected")
    (key,) = make_keys(group, "one", actor=admin)
    assert work(request_synchronize(keys=[key], actor=admin)).state == "succeeded"
    live = [item.name for item in VaultObserver(azure_stand_in, "kv-protected").client.list_properties_of_keys()]
    assert live == ["protected"]
    assert LogEntry.objects.filter(event="azure.kek_purge_not_needed").exists()


# --- clocks --------------------------------------------------------------------------------------
HOUR = 3600


def skew(stand_in, seconds):
    stand_in.control("POST", "/_emulator/settings", {"clock_skew_seconds": seconds})


def test_a_clock_so_far_behind_that_the_kek_has_expired_is_named_before_anything_is_wrapped(
    group, admin, azure_stand_in, vault
):
    skew(azure_stand_in, 3 * HOUR)
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert (job.state, job.error_code) == ("failed", "azure.clock_differs")
    assert job.error_what.startswith("This machine's clock is 3 h behind the vault's.")
    assert "NTP" in job.error_remedy
    assert not job.intents.exists()
    assert vault.keks() == []


@pytest.mark.parametrize(("seconds", "words"), [(600, "10 min behind"), (-3 * HOUR, "3 h ahead of")])
def test_a_clock_that_does_no_harm_is_told_of(seconds, words, group, admin, azure_stand_in):
    skew(azure_stand_in, seconds)
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "succeeded"
    assert [words in line for line in messages(job)].count(True) == 1


def test_clocks_that_agree_are_not_spoken_of(group, admin, azure_stand_in):
    skew(azure_stand_in, 60)
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert not [line for line in messages(job) if "clock" in line]


def test_a_soft_deleted_name_is_refused_with_what_to_do(group, admin, vault):
    vault.client.create_ec_key("payments")
    vault.client.begin_delete_key("payments").wait()
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "failed"
    assert "ecover" in job.error_remedy


def test_a_wrong_secret_is_told_from_a_wrong_tenant_and_an_unknown_client(device, admin, azure_stand_in):
    texts = []
    for number, wrong in enumerate(
        [
            {"secret": "wrong"},
            {"tenant": "99999999-9999-9999-9999-999999999999"},
            {"client": "99999999-9999-9999-9999-999999999999"},
        ]
    ):
        forget_clients()
        credential = make_credential(azure_stand_in.url, actor=admin, name=f"c{number}", **wrong)
        group = make_group(credential, azure_stand_in.vault_url("kv-premium"), name=f"g{number}")
        (key,) = make_keys(group, "one", actor=admin)
        job = work(request_synchronize(keys=[key], actor=admin))
        assert job.state == "failed"
        texts.append(job.error_what)
    assert len(set(texts)) == 3, texts
    assert "ecret" in texts[0]
    assert "enant" in texts[1]
    assert "lient" in texts[2] or "pplication" in texts[2]


def test_cancelling_between_steps_leaves_nothing_in_the_vault(group, admin, vault):
    (key,) = make_keys(group, "one", actor=admin)
    job = request_synchronize(keys=[key], actor=admin)
    services.request_cancel(job=job, actor=admin)
    assert job.state == "cancelled"
    work(job)
    assert vault.versions("payments") == []
    assert key.cloud_versions.get().state == "failed"
    assert keys_to_synchronize(group) == [key]
