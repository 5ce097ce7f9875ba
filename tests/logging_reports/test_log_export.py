"""Exports hold exactly the filtered rows, start no formula, and are themselves logged."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import time
from unittest.mock import ANY

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from kmes.core.actor import SYSTEM
from kmes.core.errors import KmesError
from logging_reports import exports, rq_jobs
from logging_reports.models import LogEntry
from logging_reports.rendering import csv_cell, visible
from logging_reports.selectors import LogFilter
from logging_reports.services import Draft, LogWriteError, record, record_many

URL = "/logs/export.csv"
DANGEROUS = tuple("=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20")


@pytest.fixture
def auditor(client, db):
    client.force_login(get_user_model().objects.create_user("audra", password="x", role="auditor"))
    return client


@pytest.fixture
def export_folder(settings, tmp_path):
    settings.KMES_EXPORT_DIR = tmp_path / "exports"
    return settings.KMES_EXPORT_DIR


def write(count: int, message: str = "row") -> list[LogEntry]:
    return record_many([Draft(event="azure.probe", actor=SYSTEM, message=f"{message} {n}") for n in range(count)])


def parse(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


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
    assert set(rows[0]) == set(exports.COLUMNS)


def test_every_stored_field_is_exported():
    stored = {field.attname for field in LogEntry._meta.concrete_fields} - {"id"}
    assert set(exports.COLUMNS) == stored


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
    assert content.decode() == ",".join(exports.COLUMNS) + "\r\n"
    assert LogEntry.objects.get(event="log.exported").data["rows"] == 0


@pytest.mark.django_db
def test_an_export_given_up_half_way_is_logged_as_such():
    """Django closes the generator when the reader goes away."""
    write(1500)
    stream = exports.stream_csv(LogFilter(), actor=SYSTEM, file_name="x.csv")
    next(stream)
    stream.close()
    row = LogEntry.objects.get(event="log.exported")
    assert row.severity == "warning"
    assert row.data["complete"] is False


@pytest.mark.django_db
def test_an_export_that_can_not_be_logged_never_arrives_complete(unguarded_log):
    from logging_reports.models import LogHead

    write(3)
    record("access.login", actor=SYSTEM)
    LogHead.objects.filter(service="audit").delete()
    got = []
    with pytest.raises(LogWriteError):
        got.extend(exports.stream_csv(LogFilter(), actor=SYSTEM, file_name="x.csv"))
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
@given(st.lists(st.text(min_size=1), max_size=3))
def test_what_is_stored_is_what_a_csv_reader_reads_back(messages):
    record_many([Draft(event="azure.probe", actor=SYSTEM, message=m, data={m: m}) for m in messages])
    content = b"".join(exports.stream_csv(LogFilter(), actor=SYSTEM, file_name="x.csv"))
    rows = parse(content)
    stored = LogEntry.objects.filter(service="azure").order_by("-sequence")
    assert [row["message"] for row in rows] == [csv_cell(entry.message) for entry in stored]
    assert all(not value.startswith(DANGEROUS) for row in rows for value in row.values())


@pytest.mark.django_db
def test_a_background_export_writes_one_private_file_and_logs_it(export_folder):
    write(3)
    path = exports.write_export(LogFilter(), actor=SYSTEM)
    assert [file.name for file in exports.list_files()] == [path.name]
    assert path.stat().st_mode & 0o077 == 0
    assert len(parse(path.read_bytes())) == 3
    facts = LogEntry.objects.get(event="log.exported").data
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts["file"] == path.name


@pytest.mark.django_db
def test_an_unusable_export_folder_is_said_plainly(settings, tmp_path):
    (tmp_path / "exports").write_text("in the way")
    settings.KMES_EXPORT_DIR = tmp_path / "exports"
    with pytest.raises(KmesError, match="KMES_EXPORT_DIR"):
        exports.write_export(LogFilter(), actor=SYSTEM)


def test_pruning_takes_old_exports_and_nothing_else(export_folder):
    export_folder.mkdir()
    names = {
        "azure-service-20260101T000000Z-0123456789abcdef.csv": True,
        "audit-20260101T000000Z-0123456789abcdef.part": True,
        "notes.csv": False,
        "azure-service-20260101T000000Z-0123456789abcdef.txt": False,
    }
    long_ago = time.time() - 10 * 86400
    for name in names:
        (export_folder / name).touch()
        os.utime(export_folder / name, (long_ago, long_ago))
    (export_folder / "device-20260101T000000Z.csv").touch()
    output = io.StringIO()
    call_command("prune_exports", "--keep-days", "7", stdout=output)
    assert "Deleted 2" in output.getvalue()
    left = {path.name for path in export_folder.iterdir()}
    assert left == {name for name, goes in names.items() if not goes} | {"device-20260101T000000Z.csv"}


@pytest.mark.django_db(transaction=True)
def test_a_large_export_goes_through_the_report_worker(auditor, export_folder, redis_server):
    import django_rq
    from rq import SimpleWorker

    write(2)
    response = auditor.post(reverse("logs:export_start"), {"service": "azure", "q": "row 1"}, follow=True)
    assert "being prepared" in response.content.decode()
    queue = django_rq.get_queue(rq_jobs.QUEUE)
    SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="ERROR")
    assert queue.failed_job_registry.count == 0
    name = exports.list_files()[0].name
    assert name in auditor.get(reverse("logs:exports")).content.decode()
    answer = auditor.get(reverse("logs:export_file", args=[name]))
    assert [row["message"] for row in parse(b"".join(answer.streaming_content))] == ["row 1"]
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    rows = list(LogEntry.objects.filter(event="log.exported").order_by("sequence"))
    assert [row.actor_name for row in rows] == ["audra", "audra"]
    assert rows[1].message == f"Downloaded the export {name}"


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "secret_key", "azure-service-20260101T000000Z.csv"])
def test_only_finished_exports_can_be_downloaded(auditor, export_folder, name):
    assert auditor.get(f"/logs/exports/{name}").status_code == 404


def test_a_queue_out_of_reach_is_said_plainly(monkeypatch, settings):
    monkeypatch.setitem(settings.RQ_QUEUES["reports"], "URL", "redis://127.0.0.1:1/0")
    with pytest.raises(KmesError, match="report queue"):
        rq_jobs.request_export(LogFilter(), actor=SYSTEM)


def test_starting_an_export_needs_a_post(auditor):
    assert auditor.get(reverse("logs:export_start")).status_code == 405
