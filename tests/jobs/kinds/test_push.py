"""Pushing keys into the vault: exactly once, proven, and clean afterwards."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from jobs.kinds.synchronize.spec import keys_to_synchronize, request_synchronize

pytestmark = pytest.mark.django_db(transaction=True)


def _versions(group):
    return list(group.cloud_versions.order_by("pushed_at").values_list("state", flat=True))


def test_a_pushed_key_signs_in_the_vault_and_verifies_with_the_public_key_kept_here(group, admin, vault):
    from tests.jobs.builders import make_keys, work

    (key,) = make_keys(group, "first", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))

    assert (job.state, job.error_what) == ("succeeded", "")
    version = key.cloud_versions.get()
    assert vault.versions("payments") == [version.azure_version]
    raw = vault.sign("payments", version.azure_version)
    half = len(raw) // 2
    der = utils.encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
    public = serialization.load_der_public_key(bytes(key.public_spki))
    public.verify(der, b"\x5a" * 32, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    assert vault.keks() == []


def test_the_job_says_what_the_console_says(group, admin):
    from tests.jobs.builders import make_keys, messages, work

    (key,) = make_keys(group, "test", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert messages(job) == [
        "Synchronizing 1 HSM protected key(s)...",
        "Synchronized HSM protected key test",
        "Successfully synchronized 1 HSM protected key(s)",
    ]
    assert list(job.steps.values_list("name", "state")) == [
        (name, "done")
        for name in (
            "preflight",
            "create_kek",
            "wrap_key",
            "import_key",
            "verify_import",
            "record_version",
            "discard_kek",
        )
    ]


def test_the_azure_service_log_shows_the_push_in_order(group, admin):
    from logging_reports.models import LogEntry
    from tests.jobs.builders import make_keys, work

    (key,) = make_keys(group, "test", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    rows = LogEntry.objects.filter(service="azure", job_id=job.pk).order_by("sequence")
    events = list(rows.values_list("event", flat=True))
    wanted = [
        "azure.token_obtained",
        "azure.vault_looked_up",
        "azure.kek_created",
        "azure.kek_public_read",
        "azure.key_wrapped",
        "azure.key_imported",
        "azure.import_verified",
        "azure.kek_deleted",
        "azure.kek_purged",
    ]
    assert [event for event in events if event in wanted] == wanted


@pytest.mark.parametrize("spec", ["RSA-2048", "RSA-3072", "RSA-4096", "P-256", "P-384", "P-521", "P-256K"])
def test_every_key_type_arrives_with_the_public_key_of_the_hsm(spec, credential, admin, azure_stand_in, vault):
    from tests.jobs.builders import make_group, make_keys, work

    group = make_group(credential, azure_stand_in.vault_url("kv-premium"), name=f"g-{spec}".replace(".", ""), spec=spec)
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert (job.state, job.error_what) == ("succeeded", "")
    live = vault.client.get_key(group.azure_name)
    assert live.key_type == group.spec.azure_kty
    public = serialization.load_der_public_key(bytes(key.public_spki)).public_numbers()
    mine = public.n if group.spec.is_rsa else public.x
    theirs = live.key.n if group.spec.is_rsa else live.key.x
    assert int.from_bytes(theirs) == mine
    assert key.thumbprint == hashlib.sha256(bytes(key.public_spki)).hexdigest()


def test_several_keys_go_in_one_job_under_one_kek_and_the_last_is_active(group, admin, vault, azure_stand_in):
    from tests.jobs.builders import make_keys, work

    keys = make_keys(group, "one", "two", "three", actor=admin)
    job = work(request_synchronize(keys=keys, actor=admin))
    assert job.state == "succeeded"
    assert _versions(group) == ["superseded", "superseded", "active"]
    assert group.cloud_versions.get(state="active").key.name == "three"
    assert job.keks.count() == 1
    assert len(vault.versions("payments")) == 3


def test_a_key_whose_row_was_damaged_fails_alone_and_its_announced_import_is_taken_back(group, admin, vault):
    from keygroups.models import Key
    from tests.jobs.builders import make_keys, work

    keys = make_keys(group, "one", "two", "three", actor=admin)
    damaged = bytes(keys[1].wrapped_private)
    Key.objects.filter(pk=keys[1].pk).update(wrapped_private=damaged[:-1] + bytes([damaged[-1] ^ 1]))
    job = work(request_synchronize(keys=keys, actor=admin))
    assert (job.state, job.error_what) == ("partly_failed", "1 of 3 keys failed.")
    assert list(job.targets.values_list("state", flat=True)) == ["done", "failed", "done"]
    assert "does not belong to this key's public half" in job.targets.get(key=keys[1]).detail
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

    def wrap_for_kek(self, **key):
        """Wrap, or be gone."""
        from kmes.core.errors import DeviceError

        self._asked += 1
        if self._asked == 3:
            raise DeviceError("The device failed (DeviceRemoved).", retryable=True, code="device_failed")
        return self._device.wrap_for_kek(**key)


def test_a_device_that_leaves_in_the_middle_costs_no_key_that_was_imported_before(group, admin, vault, monkeypatch):
    from hsm.device import get_device
    from jobs.engine import run
    from jobs.models import Job
    from kmes.core.clock import now
    from tests.jobs.builders import make_keys, work

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


def test_a_second_request_for_the_same_key_is_refused_while_the_first_is_open(group, admin, vault):
    from kmes.core.errors import ConflictError
    from tests.jobs.builders import make_keys, work

    (key,) = make_keys(group, "one", actor=admin)
    first = request_synchronize(keys=[key], actor=admin)
    with pytest.raises(ConflictError, match="on its way"):
        request_synchronize(keys=[key], actor=admin)
    work(first)
    with pytest.raises(ConflictError, match="already"):
        request_synchronize(keys=[key], actor=admin)
    assert len(vault.versions("payments")) == 1


def test_a_double_click_starts_one_job(group, admin):
    from tests.jobs.builders import make_keys

    (key,) = make_keys(group, "one", actor=admin)
    first = request_synchronize(keys=[key], actor=admin, idempotency_key="form-1")
    assert request_synchronize(keys=[key], actor=admin, idempotency_key="form-1") == first


def test_an_import_whose_answer_is_lost_is_adopted_and_not_repeated(group, admin, vault, azure_stand_in, settings):
    from jobs.models import Job
    from tests.jobs.builders import make_keys, work

    (key,) = make_keys(group, "one", actor=admin)
    azure_stand_in.control("POST", "/_emulator/faults", {"method": "PUT", "path": "/keys/payments.*", "reset": "after"})
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "queued"
    assert "unknown" in job.waiting_for
    assert len(vault.versions("payments")) == 1

    Job.objects.filter(pk=job.pk).update(run_after=job.created_at)
    assert work(job).state == "succeeded"
    assert len(vault.versions("payments")) == 1
    assert vault.keks() == []
    assert job.intents.get().state == "adopted"


def test_an_import_that_never_arrived_is_repeated_only_after_the_quarantine(
    group, admin, vault, azure_stand_in, settings
):
    from jobs.models import Job
    from tests.jobs.builders import make_keys, work

    (key,) = make_keys(group, "one", actor=admin)
    azure_stand_in.control(
        "POST", "/_emulator/faults", {"method": "PUT", "path": "/keys/payments.*", "reset": "before"}
    )
    job = work(request_synchronize(keys=[key], actor=admin))
    Job.objects.filter(pk=job.pk).update(run_after=job.created_at)
    assert work(job).state == "queued", "within the quarantine nothing is repeated"
    assert vault.versions("payments") == []

    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = 0
    Job.objects.filter(pk=job.pk).update(run_after=job.created_at)
    assert work(job).state == "succeeded"
    assert len(vault.versions("payments")) == 1
    assert vault.keks() == []


def test_throttling_is_waited_out(group, admin, vault, azure_stand_in):
    from tests.jobs.builders import make_keys, work

    (key,) = make_keys(group, "one", actor=admin)
    azure_stand_in.control(
        "POST", "/_emulator/faults", {"method": "PUT", "path": "/keys/payments.*", "status": 429, "retry_after": 1}
    )
    assert work(request_synchronize(keys=[key], actor=admin)).state == "succeeded"
    assert len(vault.versions("payments")) == 1


@pytest.mark.parametrize("missing", ["get", "list", "create", "import", "delete", "purge"])
def test_a_missing_permission_is_named_and_leaves_nothing_half_done(missing, group, admin, vault, azure_stand_in):
    from jobs.journal import kek_ledger
    from tests.jobs.builders import CLIENT, make_keys, messages, work

    allowed = ["get", "list", "create", "import", "update", "delete", "recover", "purge", "sign", "verify"]
    (key,) = make_keys(group, "one", actor=admin)
    client = {"client_id": CLIENT, "permissions": [word for word in allowed if word != missing]}
    azure_stand_in.control("POST", "/_emulator/clients", client)
    job = work(request_synchronize(keys=[key], actor=admin))
    text = " ".join([job.error_what, job.error_remedy, *messages(job)])
    assert missing in text.lower()
    azure_stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "permissions": [*allowed]})
    kek_ledger.sweep()
    assert vault.keks() == []
    if missing in {"delete", "purge"}:
        assert job.state == "succeeded"
    else:
        assert job.state == "failed"
        assert vault.versions("payments") == []
        assert key.cloud_versions.get().state == "failed"


def test_a_standard_vault_is_refused_with_the_reason(credential, admin, azure_stand_in):
    from tests.jobs.builders import make_group, make_keys, work

    group = make_group(credential, azure_stand_in.vault_url("kv-standard"), name="standard")
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "failed"
    assert "Premium" in job.error_what + job.error_remedy


def test_in_a_purge_protected_vault_the_kek_is_deleted_and_its_purge_left_to_azure(credential, admin, azure_stand_in):
    from logging_reports.models import LogEntry
    from tests.jobs.builders import make_group, make_keys, work
    from tests.jobs.observer import VaultObserver

    group = make_group(credential, azure_stand_in.vault_url("kv-protected"), name="protected")
    (key,) = make_keys(group, "one", actor=admin)
    assert work(request_synchronize(keys=[key], actor=admin)).state == "succeeded"
    live = [item.name for item in VaultObserver(azure_stand_in, "kv-protected").client.list_properties_of_keys()]
    assert live == ["protected"]
    assert LogEntry.objects.filter(event="azure.kek_purge_not_needed").exists()


def test_a_soft_deleted_name_is_refused_with_what_to_do(group, admin, vault):
    from tests.jobs.builders import make_keys, work

    vault.client.create_ec_key("payments")
    vault.client.begin_delete_key("payments").wait()
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "failed"
    assert "ecover" in job.error_remedy


def test_a_wrong_secret_is_told_from_a_wrong_tenant_and_an_unknown_client(device, admin, azure_stand_in):
    from cloudcreds.azure.clients import forget_clients
    from tests.jobs.builders import make_credential, make_group, make_keys, work

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
    from jobs import services
    from tests.jobs.builders import make_keys, work

    (key,) = make_keys(group, "one", actor=admin)
    job = request_synchronize(keys=[key], actor=admin)
    services.request_cancel(job=job, actor=admin)
    assert job.state == "cancelled"
    work(job)
    assert vault.versions("payments") == []
    assert key.cloud_versions.get().state == "failed"
    assert keys_to_synchronize(group) == [key]
