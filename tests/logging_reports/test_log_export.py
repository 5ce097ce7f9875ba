"""Exports hold exactly the filtered rows, start no formula, and are themselves logged."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from unittest.mock import ANY

import pytest
from django.contrib.auth import get_user_model
from hypothesis import given, settings
from hypothesis import strategies as st

from kmes.core.actor import SYSTEM
from kmes.core.redis_connection import connect
from logging_reports import exports, report_queue
from logging_reports.csv_rows import COLUMNS
from logging_reports.json_lines import LINE_FIELDS
from logging_reports.models import LogEntry, LogHead
from logging_reports.safe_text import csv_cell, visible
from logging_reports.selectors import LogFilter
from logging_reports.services import Draft, LogWriteError, record, record_many
from tests.logging_reports.signer import verify_export

URL = "/logs/export.csv"
DANGEROUS = tuple("=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20")


@pytest.fixture
def auditor(client, db):
    client.force_login(get_user_model().objects.create_user("audra", role="auditor"))
    return client


def write(count: int, message: str = "row") -> list[LogEntry]:
    return record_many([Draft(event="azure.probe", actor=SYSTEM, message=f"{message} {n}") for n in range(count)])


def parse(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def download(client, **query) -> tuple[object, bytes]:
    response = client.get(URL, query)
    return response, b"".join(response.streaming_content)


def test_the_export_holds_exactly_the_filtered_rows_in_order(auditor):
    write(1200, "wanted")
    write(30, "other")
    _response, content = download(auditor, q="wanted")
    rows = parse(content)
    assert [int(row["sequence"]) for row in rows] == list(range(1200, 0, -1))
    newest = LogEntry.objects.get(service="azure", sequence=1200)
    assert rows[0]["message"] == "wanted 1199"
    assert rows[0]["at"] == newest.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert rows[0]["hash"] == newest.hash
    assert set(rows[0]) == set(COLUMNS)


def test_every_stored_field_is_exported():
    # The chain's format is for verifying, which CSV is not for.
    stored = {field.column for field in LogEntry._meta.concrete_fields} - {"id", "chain_format"}
    assert set(COLUMNS) == stored


def test_the_columns_of_csv_never_change_their_names_or_order():
    assert ",".join(COLUMNS) == (
        "sequence,at,service,category,severity,event,actor_name,actor_trigger,actor_user_id,credential_id,credential,"
        "vault,group_id,group,key_id,key,version,job_id,job_code,azure_request_id,http_status,duration_ms,message,"
        "data,truncated,previous_hash,hash"
    )


def test_the_file_has_a_name_of_our_own_and_is_never_sniffed_or_kept(auditor):
    response, _content = download(auditor, service="azure", q='";x=1')
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "no-store"
    head, _, tail = response["Content-Disposition"].partition("azure-service-")
    assert head == 'attachment; filename="'
    assert tail[:8].isdigit()
    assert tail.endswith('Z.csv"')


def test_the_export_is_logged_with_who_what_and_the_hash_of_the_bytes(auditor):
    write(3)
    _response, content = download(auditor, severity="info")
    row = LogEntry.objects.get(event="log.exported")
    assert (row.actor_name, row.severity, row.service) == ("audra", "info", "audit")
    assert row.data == {
        "file": ANY,
        "filter": {"service": "azure", "severity": "info"},
        "rows": 3,
        "sha256": hashlib.sha256(content).hexdigest(),
        "complete": True,
    }


def test_an_export_of_nothing_has_its_header_row(auditor):
    _response, content = download(auditor)
    assert content.decode("utf-8-sig") == ",".join(COLUMNS) + "\r\n"
    assert LogEntry.objects.get(event="log.exported").data["rows"] == 0


@pytest.mark.django_db
def test_an_export_given_up_half_way_is_logged_as_such():
    """Django closes the generator when the reader goes away."""
    write(1500)
    stream = exports.stream(LogFilter(), actor=SYSTEM, file_name="x.csv")
    next(stream)
    stream.close()
    row = LogEntry.objects.get(event="log.exported")
    assert row.severity == "warning"
    assert row.data["complete"] is False


@pytest.mark.django_db
def test_an_export_that_can_not_be_logged_never_arrives_complete(unguarded_log):
    write(3)
    record("access.login", actor=SYSTEM)
    LogHead.objects.filter(service="audit").delete()
    got = []
    with pytest.raises(LogWriteError):
        got.extend(exports.stream(LogFilter(), actor=SYSTEM, file_name="x.csv"))
    assert not any(b"row 0" in chunk for chunk in got)


@given(st.text())
def test_no_cell_starts_a_formula_or_hides_a_control(text):
    cell = csv_cell(text)
    assert not cell.lstrip().startswith(DANGEROUS)
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in cell)
    assert cell in (visible(text), "'" + visible(text))


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", "  =1", "\u00a0=1", "\u200b=1"]
)
def test_known_formula_tricks_are_disarmed(text):
    cell = csv_cell(text)
    assert cell[0] in "'\\"


@pytest.mark.django_db
@settings(max_examples=50)
@given(st.lists(st.text(min_size=1), max_size=3))
def test_what_is_stored_is_what_a_csv_reader_reads_back(messages):
    record_many([Draft(event="azure.probe", actor=SYSTEM, message=m, data={m: m}) for m in messages])
    content = b"".join(exports.stream(LogFilter(), actor=SYSTEM, file_name="x.csv"))
    rows = parse(content)
    stored = LogEntry.objects.filter(service="azure").order_by("-sequence")
    assert [row["message"] for row in rows] == [csv_cell(entry.message) for entry in stored]
    assert all(not value.startswith(DANGEROUS) for row in rows for value in row.values())


JSONL = "/logs/export.jsonl"


def test_json_lines_hold_the_same_rows_to_the_exact_field_and_verify(auditor):
    write(700, "wanted")
    write(3, "other")
    response = auditor.get(JSONL, {"q": "wanted"})
    content = b"".join(response.streaming_content)
    assert response["Content-Type"] == "application/jsonl; charset=utf-8"
    assert response["Content-Disposition"].endswith('Z.jsonl"')
    lines = content.decode().splitlines(keepends=True)
    assert [json.loads(line)["sequence"] for line in lines] == list(range(700, 0, -1))
    assert set(json.loads(lines[0])) == set(LINE_FIELDS)
    assert verify_export(lines, is_filtered=True).faults == []
    row = LogEntry.objects.get(event="log.exported")
    assert (row.data["rows"], row.data["sha256"]) == (700, hashlib.sha256(content).hexdigest())


@pytest.mark.django_db
@settings(max_examples=50)
@given(st.lists(st.text(min_size=1), max_size=3))
def test_any_text_survives_json_lines(messages):
    record_many([Draft(event="azure.probe", actor=SYSTEM, message=m, data={m: m}) for m in messages])
    content = b"".join(exports.stream(LogFilter(), actor=SYSTEM, file_name="x", form="jsonl"))
    lines = content.decode().split("\n")[:-1]
    assert verify_export(lines, is_filtered=True).faults == []
    assert [json.loads(line)["message"] for line in lines] == [
        entry.message for entry in LogEntry.objects.filter(service="azure").order_by("-sequence")
    ]


def test_an_export_asked_for_by_a_filter_that_can_not_be_used_is_refused(auditor):
    assert auditor.get(JSONL, {"since": "yesterday"}).status_code == 400


def test_the_report_queue_is_asked_with_time_outs_so_that_a_frozen_redis_hangs_no_page():
    with connect(seconds=report_queue.REDIS_SECONDS) as client:
        options = client.connection_pool.connection_kwargs
    assert 0 < options["socket_timeout"] <= 5
    assert 0 < options["socket_connect_timeout"] <= 5
