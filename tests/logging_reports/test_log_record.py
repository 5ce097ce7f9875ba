"""Writing rows: what is kept, masked, cut or refused, and what happens with the transaction."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from kmes.core.actor import SCHEDULE, SYSTEM
from kmes.core.secret_types import SecretText
from logging_reports.choices import Category, Service, Severity
from logging_reports.events import CATEGORIES, EVENTS, UnknownEventError
from logging_reports.models import LogEntry, LogHead
from logging_reports.redaction import MAX_TEXT_BYTES, Cleaner, mask
from logging_reports.services import Draft, LogWriteError, Subject, record, record_many
from logging_reports.verification import verify_service

JWT = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl"


@pytest.mark.django_db
def test_a_row_keeps_what_it_was_given():
    subject = Subject(credential_id="c1", credential="prod", vault="kv-premium", group="tde", key="tde-1", version="v1")
    record(
        "azure.key_imported",
        actor=SCHEDULE,
        message="Key imported (version v1)",
        subject=subject,
        job_id=UUID(int=9),
        job_code="7F3KQ2",
        provider_request_id="r-1",
        http_status=200,
        duration_ms=41,
        data={"key_ops": ["sign"], "size": 2048},
    )
    row = LogEntry.objects.get()
    assert (row.service, row.sequence, row.category, row.severity) == ("azure", 1, "import", "info")
    assert (row.actor_name, row.actor_trigger, row.actor_user_id) == ("schedule", "schedule", None)
    assert (row.vault, row.key, row.version, row.credential_id) == ("kv-premium", "tde-1", "v1", "c1")
    assert (row.job_id, row.job_code, row.http_status, row.duration_ms) == (UUID(int=9), "7F3KQ2", 200, 41)
    assert row.data == {"key_ops": ["sign"], "size": 2048}
    assert not row.truncated


@pytest.mark.django_db
def test_a_row_without_message_says_the_events_label_in_english():
    with translation.override("de"):
        assert record("access.login", actor=SYSTEM).message == "Signed in"


@pytest.mark.django_db
def test_severity_and_category_can_be_overridden():
    row = record("azure.call_failed", actor=SYSTEM, severity=Severity.WARNING, category=Category.IMPORT)
    assert (row.severity, row.category) == ("warning", "import")


def test_an_unknown_event_is_refused_where_it_is_named():
    with pytest.raises(UnknownEventError, match=r"azure\.key_imploded"):
        Draft(event="azure.key_imploded", actor=SYSTEM)


@pytest.mark.django_db
def test_an_unknown_event_writes_nothing():
    with pytest.raises(UnknownEventError):
        record("nothing.of.ours", actor=SYSTEM)
    assert not LogEntry.objects.exists()


def test_every_category_of_the_azure_log_has_an_event():
    wanted = {
        "Authentication", "Vault", "KEK", "Key wrap", "Import", "Verification", "Version state", "Rotation",
        "Deletion", "Recovery", "Purge", "Throttling", "Permission", "Connectivity", "Drift",
    }  # fmt: skip
    assert {str(category.label) for category in CATEGORIES[Service.AZURE]} == wanted
    assert all(len(name) <= 64 and name.count(".") == 1 for name in EVENTS)


def test_only_rows_of_the_providers_log_begin_with_the_providers_name():
    assert all(
        (name.partition(".")[0] == "azure") == (event.service == Service.AZURE) for name, event in EVENTS.items()
    )


@pytest.mark.django_db
def test_each_log_has_a_chain_of_its_own():
    rows = record_many(
        [Draft(event=name, actor=SYSTEM) for name in ("access.login", "azure.probe", "access.logout", "azure.probe")]
    )
    assert [(row.service, row.sequence) for row in rows] == [("audit", 1), ("azure", 1), ("audit", 2), ("azure", 2)]
    assert all(verify_service(service).is_intact for service in Service)


@pytest.mark.django_db
def test_a_batch_is_one_chain_in_the_order_given():
    rows = record_many([Draft(event="azure.probe", actor=SYSTEM, message=str(n)) for n in range(5)])
    assert [row.previous_hash for row in rows[1:]] == [row.hash for row in rows[:-1]]
    assert [row.message for row in LogEntry.objects.order_by("sequence")] == list("01234")
    assert record_many([]) == []


@pytest.mark.django_db
def test_a_rolled_back_action_leaves_no_row_and_no_gap():
    record("azure.probe", actor=SYSTEM)
    with transaction.atomic():
        record("azure.probe", actor=SYSTEM)
        transaction.set_rollback(True)
    assert record("azure.probe", actor=SYSTEM).sequence == 2
    assert verify_service(Service.AZURE).is_intact


@pytest.mark.django_db
def test_a_log_whose_head_is_gone_refuses_to_go_on(unguarded_log):
    record("azure.probe", actor=SYSTEM)
    LogHead.objects.all().delete()
    with pytest.raises(LogWriteError, match="can't be written"), transaction.atomic():
        record("azure.probe", actor=SYSTEM)


@pytest.mark.django_db
def test_secrets_are_masked_wherever_they_stand():
    record(
        "azure.token_failed",
        actor=SYSTEM,
        message=f"sent Bearer {JWT} with client_secret=hunter2&grant_type=x",
        provider_request_id=JWT,
        data={
            "client_secret": "hunter2",
            "Client-Secret": "hunter2",
            "pin": 123456,
            "password": ["hunter2"],
            "access_token": JWT,
            "key_hsm": "hunter2",
            "nested": [{"deep": {"PIN": "123456"}}],
            "note": f"token was {JWT}",
            "held": SecretText("hunter2"),
            "has_password": True,
        },
    )
    row = LogEntry.objects.get()
    for leaked in ("hunter2", "123456", JWT, JWT[:20]):
        assert leaked not in str(row.__dict__)
    assert row.data["client_secret"] == "***"
    assert row.data["has_password"] is True
    assert "grant_type=x" in row.message


@given(st.sampled_from(["client_secret", "password", "access_token"]), st.text("abcdefgh0123", min_size=6, max_size=20))
def test_assignments_in_text_lose_their_value(name, value):
    for text in (f"{name}={value}", f'"{name}": "{value}"', f"x&{name.upper()}={value}&y", f"{name}: {value}"):
        assert value not in mask(text)


def test_a_private_key_in_text_is_masked_even_when_cut_short():
    assert mask("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- rest") == "*** rest"
    assert "MIIE" not in mask("x -----BEGIN RSA PRIVATE KEY-----\nMIIE")


@pytest.mark.parametrize(
    "harmless", ["The PIN: the file is missing", "Key eyJ", "a client secret expired", "=1+1\u202e"]
)
def test_ordinary_text_is_kept_as_given(harmless):
    assert mask(harmless) == harmless


@given(st.text(), st.integers(1, 64))
def test_cut_text_is_short_storable_and_flagged(text, limit):
    clean = Cleaner()
    cut = clean.text(text, limit=limit)
    assert len(cut.encode()) <= limit
    assert "\0" not in cut
    assert clean.truncated == (cut != mask(text))


@pytest.mark.django_db
def test_long_and_odd_values_are_stored_and_flagged():
    row = record(
        "azure.probe",
        actor=SYSTEM,
        message="ü" * 5000 + "\0\ud800",
        subject=Subject(key="k" * 300),
        data={"many": ["x" * 2000] * 20, "float": 1e20},
    )
    again = LogEntry.objects.get(pk=row.pk)
    assert again.truncated
    assert len(again.message.encode()) <= MAX_TEXT_BYTES
    assert len(again.key) == 255
    assert list(again.data) == ["excerpt"]
    assert verify_service(Service.AZURE).is_intact


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)


@pytest.mark.django_db
@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_any_data_verifies_after_a_round_trip_through_the_database(data):
    record("azure.probe", actor=SYSTEM, data=data)
    assert verify_service(Service.AZURE).is_intact


WRITER = """
import django; django.setup()
from kmes.core.actor import SYSTEM
from logging_reports.services import record
for _ in range(25): record("azure.probe", actor=SYSTEM)
"""


@pytest.mark.django_db(transaction=True)
def test_writers_side_by_side_keep_one_chain_without_gaps(tmp_path):
    if connection.vendor == "sqlite":
        _check_processes_on_a_file(tmp_path)
        return
    failures = []

    def write() -> None:
        try:
            for _ in range(25):
                record("azure.probe", actor=SYSTEM)
        except Exception as error:  # noqa: BLE001 - a thread's failure must reach the test
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    verdict = verify_service(Service.AZURE)
    assert (verdict.rows, verdict.first_break) == (100, None)


def _check_processes_on_a_file(tmp_path) -> None:
    """SQLite locks files between processes; the in-memory test database can't show that."""
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'log.sqlite3'}"}

    def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=check,
            cwd=settings.BASE_DIR,
        )

    run("manage.py", "migrate", "-v0", "logging_reports")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: run("-c", WRITER), range(4)))
    # Nothing has signed it yet, so it ends with 2; but the chain holds.
    assert "azure: ok, 100 rows" in run("manage.py", "verify_log", "--service", "azure", check=False).stdout
