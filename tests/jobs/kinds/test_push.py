"""Pushing keys into the vault: proven, recorded, and clean afterwards."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.engine.execution import execute
from jobs.kinds.push import batches
from jobs.kinds.synchronize.spec import request_synchronize
from logging_reports.models import LogEntry
from tests.jobs.builders import make_group, make_keys, messages, work

pytestmark = pytest.mark.django_db(transaction=True)
TRANSACTIONS = 7
# Of a push, however many keys it has (25 at most). A few more or less depend on the database.
MOST_STATEMENTS = 140


def _versions(group):
    return list(group.cloud_versions.order_by("pushed_at").values_list("state", flat=True))


def test_a_pushed_key_signs_in_the_vault_and_verifies_with_the_public_key_kept_here(group, admin, vault):
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


def _statements_of_push(*names, group, actor):
    job = request_synchronize(keys=make_keys(group, *names, actor=actor), actor=actor)
    with CaptureQueriesContext(connection) as queries:
        execute(job.pk, owner="worker")
    job.refresh_from_db()
    assert job.state == "succeeded"
    return [query["sql"] for query in queries]


def test_a_push_makes_as_few_transactions_as_its_safety_needs(group, admin):
    """Each waits for the disk: the claim, the start, the KEK, the intents, the results, the KEK's deletion, the end."""
    # The first one also stores the device's marks of a destination that was just saved.
    first = _statements_of_push("one", "two", "three", group=group, actor=admin)
    assert first.count("COMMIT") == TRANSACTIONS
    more = _statements_of_push("four", "five", "six", "seven", "eight", group=group, actor=admin)
    assert more.count("COMMIT") == TRANSACTIONS
    # As many for one key as for a window of them.
    assert len(more) <= MOST_STATEMENTS, "\n".join(more)


def test_the_log_of_a_key_has_its_wrapping_import_and_verification(group, admin):
    key, other = make_keys(group, "first", "second", actor=admin)
    work(request_synchronize(keys=[key, other], actor=admin))
    rows = LogEntry.objects.filter(service="azure", key_id=str(key.pk)).order_by("sequence")
    assert [row.event for row in rows] == ["azure.key_wrapped", "azure.key_imported", "azure.import_verified"]
    assert {row.key for row in rows} == {"first"}


def test_the_azure_service_log_shows_the_push_in_order(group, admin):
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
    keys = make_keys(group, "one", "two", "three", actor=admin)
    job = work(request_synchronize(keys=keys, actor=admin))
    assert job.state == "succeeded"
    assert _versions(group) == ["superseded", "superseded", "active"]
    assert group.cloud_versions.get(state="active").key.name == "three"
    assert job.keks.count() == 1
    assert len(vault.versions("payments")) == 3


def test_a_large_job_wraps_in_batches_and_says_how_far_it_is(group, admin, vault, monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 2)
    keys = make_keys(group, *[f"key-{number}" for number in range(5)], actor=admin)
    job = work(request_synchronize(keys=keys, actor=admin))
    assert job.state == "succeeded"
    assert job.steps.get(name="import_key").detail == "5 of 5"
    assert len(vault.versions("payments")) == 5
