"""Rows of the release before, which are of format 1, verify together with new ones, in the database and outside."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection

from kmes.core.actor import SYSTEM
from logging_reports import chain, triggers
from logging_reports.choices import Service
from logging_reports.json_lines import from_line, to_line
from logging_reports.models import LogEntry
from logging_reports.selectors import LogFilter, find_neighborhood
from logging_reports.services import lock_head, record
from logging_reports.verification import verify_service
from tests.logging_reports.log_commands import execute, verify
from tests.logging_reports.signer import Signer, verify_export

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 1, 12, 30, 15, 123456, tzinfo=UTC)
# The columns of the release before, in the order in which it hashed them.
COLUMNS = (
    "service", "sequence", "at", "category", "severity", "event", "actor_name", "actor_trigger", "actor_user_id",
    "credential_id", "credential", "vault", "group_id", "group", "key_id", "key", "version", "job_id", "job_code",
    "azure_request_id", "http_status", "duration_ms", "message", "data", "truncated",
)  # fmt: skip


def write_as_before(count: int) -> None:
    """Append rows by SQL as the release before did: without a format, hashed by its own rules."""
    head = lock_head(Service.AZURE)
    previous = head.hash
    for sequence in range(head.sequence + 1, head.sequence + count + 1):
        row = {
            **dict.fromkeys(COLUMNS, ""),
            "service": "azure", "sequence": sequence, "at": AT + timedelta(seconds=sequence), "category": "import",
            "severity": "info", "event": "azure.key_imported", "actor_name": "ada", "actor_user_id": 1,
            "job_id": UUID(int=sequence), "azure_request_id": f"request-{sequence}", "http_status": 200,
            "duration_ms": None, "message": "Grüße", "data": {"b": [1, None, True], "ä": "ü"}, "truncated": False,
        }  # fmt: skip
        digest = hash_as_before(row, previous)
        values = {**row, "previous_hash": previous, "hash": digest}
        values["job_id"] = row["job_id"].hex
        values["data"] = json.dumps(row["data"])
        if connection.vendor == "sqlite":
            values["at"] = row["at"].replace(tzinfo=None).isoformat(" ")
        columns = ", ".join(f'"{name}"' for name in values)
        execute(
            f"INSERT INTO logging_reports_logentry ({columns}) VALUES ({', '.join(['%s'] * len(values))})",  # noqa: S608
            list(values.values()),
        )
        previous = digest
    execute(
        "UPDATE logging_reports_loghead SET sequence = %s, hash = %s WHERE service = 'azure'",
        [head.sequence + count, previous],
    )


def hash_as_before(row: dict, previous: str) -> str:
    """Return the hash by the rules of format 1, written down once more so that no change of ours moves them."""
    digest = hashlib.sha256(b"kmeslog1")
    for value in row.values():
        if isinstance(value, bool):
            text = "1" if value else "0"
        elif isinstance(value, datetime):
            text = str(int(value.timestamp()) * 1_000_000 + value.microsecond)
        elif isinstance(value, dict):
            text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        else:
            text = "" if value is None else str(value)
        digest.update(len(text.encode()).to_bytes(8, "big") + text.encode())
    digest.update(bytes.fromhex(previous))
    return digest.hexdigest()


def write_new(count: int) -> None:
    for number in range(count):
        record("azure.key_imported", actor=SYSTEM, message=str(number), provider_request_id=f"new-{number}")


def export() -> list[str]:
    return [to_line(row) for row in LogEntry.objects.filter(service="azure").order_by("-sequence")]


def find_neighborhood_of(sequence: int):
    return find_neighborhood(LogFilter(service="azure"), sequence)


@pytest.fixture
def mixed_log(db):
    """Three rows of the release before and three of this one."""
    write_as_before(3)
    write_new(3)


def test_rows_of_both_formats_are_one_chain(mixed_log):
    rows = list(LogEntry.objects.order_by("sequence"))
    assert [row.chain_format for row in rows] == [1, 1, 1, 2, 2, 2]
    assert [row.provider_request_id for row in rows[2:4]] == ["request-3", "new-0"]
    verdict = verify_service(Service.AZURE)
    assert (verdict.rows, verdict.first_break) == (6, None)


def test_a_row_that_the_release_before_writes_after_ours_holds_as_well(mixed_log):
    """During an upgrade its web processes go on until they are restarted, on the migrated database."""
    write_as_before(2)
    verdict = verify_service(Service.AZURE)
    assert (
        list(LogEntry.objects.order_by("sequence").values_list("chain_format", flat=True))
        == [1] * 3 + [2] * 3 + [1] * 2
    )
    assert (verdict.rows, verdict.first_break) == (8, None)


@pytest.mark.parametrize(("sequence", "other"), [(1, 2), (3, 2), (4, 1), (6, 1), (2, 0), (5, 3)])
def test_a_changed_format_is_found_at_its_row(sequence, other, mixed_log, unguarded_log):
    execute("UPDATE logging_reports_logentry SET chain_format = %s WHERE sequence = %s", [other, sequence])
    triggers.install(connection)
    found = verify_service(Service.AZURE).first_break
    assert found == chain.Break(sequence, f"row {sequence} was altered")
    assert not find_neighborhood_of(sequence).is_intact
    # The export goes on, and tells the same.
    (fault,) = verify_export(export()).faults
    assert f"line {7 - sequence}" in fault


def test_a_checkpoint_covers_both_formats_and_verify_log_agrees(mixed_log, tmp_path):
    anchor = tmp_path / "anchor.txt"
    anchor.write_text(Signer().make_checkpoint().anchor.to_file())
    code, output = verify("--anchor", str(anchor))
    assert code == 0
    assert "azure: ok, 6 rows" in output
    assert find_neighborhood_of(2).is_intact


def test_an_export_of_both_formats_verifies(mixed_log):
    verdict = verify_export(export())
    assert (verdict.rows, verdict.gaps, verdict.faults) == (6, 0, [])


def test_a_line_of_format_1_is_the_one_that_the_release_before_wrote(mixed_log):
    """So an export made before and one made now of the same rows have the same SHA-256."""
    row = LogEntry.objects.get(sequence=2)
    facts = json.loads(to_line(row))
    assert tuple(sorted(facts)) == tuple(sorted((*COLUMNS, "previous_hash", "hash")))
    assert facts["azure_request_id"] == "request-2"
    assert facts["hash"] == row.hash
    read = from_line(to_line(row))
    assert (read.chain_format, read.provider_request_id) == (1, "request-2")


def test_a_line_of_format_2_names_its_format_and_the_provider_neutrally(mixed_log):
    facts = json.loads(to_line(LogEntry.objects.get(sequence=4)))
    assert (facts["chain_format"], facts["provider_request_id"]) == (2, "new-0")
    assert not [name for name in facts if "azure" in name]


@pytest.mark.parametrize(
    "changes", [{"chain_format": 1}, {"chain_format": 3}, {"chain_format": True}, {"chain_format": None}]
)
@pytest.mark.parametrize("sequence", [2, 5])
def test_a_line_of_another_format_than_its_own_is_a_fault(sequence, changes, mixed_log):
    lines = export()
    lines[6 - sequence] = json.dumps({**json.loads(lines[6 - sequence]), **changes})
    assert verify_export(lines).faults


@pytest.mark.django_db(transaction=True)
def test_the_migration_adds_the_format_and_rewrites_no_row():
    output = StringIO()
    call_command("sqlmigrate", "logging_reports", "0007", stdout=output)
    statements = [line for line in output.getvalue().splitlines() if line and not line.startswith("--")]
    assert [line for line in statements if line not in {"BEGIN;", "COMMIT;"}] == [
        "ALTER TABLE logging_reports_logentry ADD COLUMN chain_format smallint DEFAULT 1 NOT NULL;"
    ]
