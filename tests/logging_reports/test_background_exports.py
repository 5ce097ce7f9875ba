"""Background exports: asked for, followed, downloaded, cancelled, expired, and never silently lost."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import time
from datetime import UTC, datetime, timedelta

import pytest
import redis
import time_machine
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.urls import reverse

from kmes.core.actor import SYSTEM, Actor, Trigger
from kmes.core.errors import KmesError
from logging_reports import csv_copy, export_files, export_lifecycle, rq_jobs, selectors
from logging_reports.models import LogEntry, LogExport
from logging_reports.offline import main as verify_offline
from logging_reports.selectors import LogFilter
from logging_reports.services import Draft, record_many
from tests.database_processes import acting_as
from tests.logging_reports.report_running import open_queue, run_reports
from tests.logging_reports.signer import write_evidence
from tests.translations import marked, speak

__all__ = ["speak"]
ANN = Actor("ann", Trigger.USER, 7)
URL = "/logs/exports/"


@pytest.fixture
def auditor(client, db):
    client.force_login(get_user_model().objects.create_user("audra", role="auditor"))
    return client


@pytest.fixture(autouse=True)
def export_folder(settings, tmp_path):
    settings.KMES_EXPORT_DIR = tmp_path / "exports"
    return settings.KMES_EXPORT_DIR


def write(count: int, message: str = "row") -> list[LogEntry]:
    return record_many([Draft(event="azure.probe", actor=SYSTEM, message=f"{message} {n}") for n in range(count)])


def ask(form: str = "csv", wanted: LogFilter | None = None) -> LogExport:
    return export_lifecycle.request(wanted or LogFilter(), form=form, query="service=azure", actor=ANN)


def events() -> list[str]:
    rows = LogEntry.objects.filter(service="audit", event__startswith="log.export").order_by("sequence")
    return list(rows.values_list("event", flat=True))


@pytest.mark.django_db
def test_the_worker_writes_one_private_file_of_exactly_the_rows_and_says_it_is_ready(export_folder):
    write(3, "wanted")
    write(2, "other")
    export = ask(wanted=LogFilter(text="wanted"))
    # Arrived after the wish: not part of it.
    write(1, "wanted later")
    name = rq_jobs.run_export(str(export.pk))
    export.refresh_from_db()
    path = export_folder / name
    assert path.stat().st_mode & 0o077 == 0
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    assert [row["message"] for row in rows] == ["wanted 2", "wanted 1", "wanted 0"]
    assert (export.state, export.rows_done, export.rows_total, export.size) == ("ready", 3, 3, path.stat().st_size)
    assert export.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert events() == ["log.export_requested", "log.exported", "log.export_ready"]
    ready = LogEntry.objects.get(event="log.export_ready")
    assert (ready.actor_name, ready.actor_user_id, ready.data["export"]) == ("ann", 7, str(export.pk))
    assert ready.data["sha256"] == export.sha256
    assert [path.name for path in export_folder.iterdir()] == [name]


@pytest.mark.django_db
def test_a_json_lines_file_verifies_offline(export_folder, tmp_path):
    write(5)
    name = rq_jobs.run_export(str(ask("jsonl").pk))
    assert name.endswith(".jsonl")
    assert verify_offline([str(export_folder / name), *write_evidence(tmp_path)]) == 0


@pytest.fixture
def parts_of_500(monkeypatch):
    """Write files in small parts, so that there is progress to tell."""
    monkeypatch.setattr(selectors, "BATCH_SIZE", 500)
    monkeypatch.setattr(csv_copy, "ROWS_PER_COPY", 500)


@pytest.mark.django_db
@pytest.mark.usefixtures("parts_of_500")
def test_progress_is_told_while_rows_are_written(monkeypatch):
    write(1200)
    monkeypatch.setattr(rq_jobs, "_PROGRESS_SECONDS", 0)
    seen = []
    told = export_lifecycle.record_progress

    def watch(export, rows_done, **values):
        seen.append(rows_done)
        return told(export, rows_done, **values)

    monkeypatch.setattr(export_lifecycle, "record_progress", watch)
    rq_jobs.run_export(str(ask().pk))
    assert seen == [0, 500, 1000, 1200]


@pytest.mark.django_db
@pytest.mark.usefixtures("parts_of_500")
def test_a_cancelled_export_leaves_no_file_whenever_it_is_cancelled(export_folder, monkeypatch):
    write(1200)
    waiting = ask()
    assert export_lifecycle.cancel(waiting, actor=ANN)
    assert rq_jobs.run_export(str(waiting.pk)) == ""
    monkeypatch.setattr(rq_jobs, "_PROGRESS_SECONDS", 0)
    told = export_lifecycle.record_progress
    for at_row, told_of in ((500, [0, 500, 1000]), (1200, [0, 500, 1000, 1200])):
        export, seen = ask(), []

        def cancel_meanwhile(export, rows_done, at_row=at_row, seen=seen, **values):
            seen.append(rows_done)
            answer = told(export, rows_done, **values)
            if rows_done == at_row:
                with acting_as("web"):
                    assert export_lifecycle.cancel(export, actor=ANN)
            return answer

        monkeypatch.setattr(export_lifecycle, "record_progress", cancel_meanwhile)
        assert rq_jobs.run_export(str(export.pk)) == ""
        export.refresh_from_db()
        assert (export.state, export.cancel_requested_by) == ("cancelled", "ann")
        assert list(export_folder.iterdir()) == []
        # The worker stopped with the first rows after the wish, and wrote no further.
        assert seen == told_of
    assert not export_lifecycle.cancel(export, actor=ANN)
    assert events().count("log.export_cancelled") == 3


@pytest.mark.django_db
def test_a_folder_that_can_not_be_used_is_said_at_the_export(export_folder):
    export_folder.write_text("in the way")
    export = ask()
    assert rq_jobs.run_export(str(export.pk)) == ""
    export.refresh_from_db()
    assert export.state == "failed"
    assert "KMES_EXPORT_DIR" in export.error_remedy
    assert events() == ["log.export_requested", "log.export_failed"]


@pytest.mark.django_db
def test_an_export_is_made_once_however_often_its_message_comes():
    export = ask()
    assert rq_jobs.run_export(str(export.pk))
    assert rq_jobs.run_export(str(export.pk)) == ""
    assert events().count("log.export_ready") == 1


@pytest.mark.django_db
def test_an_export_whose_worker_was_killed_is_failed_by_the_next():
    with time_machine.travel(datetime(2026, 11, 24, 6, tzinfo=UTC), tick=False) as clock:
        lost = ask()
        export_lifecycle.begin(lost.pk)
        clock.shift(timedelta(minutes=1))
        assert export_lifecycle.fail_abandoned() == 0
        clock.shift(timedelta(minutes=2))
        rq_jobs.run_export(str(ask().pk))
    lost.refresh_from_db()
    assert (lost.state, "stopped" in lost.error_what) == ("failed", True)


@pytest.mark.django_db
def test_old_files_go_and_their_exports_say_so(export_folder):
    export = ask()
    name = rq_jobs.run_export(str(export.pk))
    others = ("notes.csv", "azure-service-20260101T000000Z-0123456789abcdef.txt")
    drafts = ("audit-20260101T000000Z-0123456789abcdef.jsonl.part",)
    long_ago = time.time() - 10 * 86400
    for each in (name, *others, *drafts):
        (export_folder / each).touch()
        os.utime(export_folder / each, (long_ago, long_ago))
    (export_folder / "device-20260101T000000Z.csv").touch()
    output = io.StringIO()
    call_command("prune_exports", "--keep-days", "7", stdout=output)
    assert "Deleted 2" in output.getvalue()
    assert {path.name for path in export_folder.iterdir()} == {*others, "device-20260101T000000Z.csv"}
    export.refresh_from_db()
    assert export.state == "expired"


@pytest.mark.django_db(transaction=True)
def test_from_the_page_through_the_queue_to_the_download(auditor, redis_server):
    write(2)
    response = auditor.post(reverse("logs:export_start"), {"service": "azure", "q": "row 1"}, follow=True)
    body = response.content.decode()
    assert "Waiting" in body
    assert 'data-follows="reports"' in body
    digest = body.partition("?seen=")[2][:16]
    headers = {"HX-Request": "true", "HX-Target": "log-exports"}
    assert auditor.get(URL, {"seen": digest}, headers=headers).status_code == 204
    with redis.Redis.from_url(redis_server) as broker:
        queue = run_reports(broker)
    assert queue.failed_job_registry.count == 0
    fragment = auditor.get(URL, {"seen": digest}, headers=headers).content.decode()
    export = LogExport.objects.get()
    assert "<html" not in fragment
    assert "Ready" in fragment
    assert export.file_name in fragment
    # Nothing is under way any more: the page stops asking.
    assert "data-follows" not in fragment
    answer = auditor.get(reverse("logs:export_file", args=[export.pk]))
    content = b"".join(answer.streaming_content)
    assert [row["message"] for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))] == ["row 1"]
    assert answer["Content-Disposition"] == f'attachment; filename="{export.file_name}"'
    download = LogEntry.objects.filter(event="log.exported").latest("sequence")
    assert (download.actor_name, download.message) == ("audra", f"Downloaded the export {export.file_name}")
    assert download.data["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.django_db(transaction=True)
def test_a_message_carries_the_id_and_nothing_else(redis_server):
    export = rq_jobs.request_export(LogFilter(text="needle"), form="csv", actor=ANN)
    with redis.Redis.from_url(redis_server) as broker:
        (job,) = [job for job in open_queue(broker).jobs if job.args == [str(export.pk)]]
        assert (job.func_name, job.kwargs) == ("run_export", {})
        job.delete()


@pytest.mark.django_db(transaction=True)
def test_a_queue_out_of_reach_is_said_to_its_reader_and_kept_in_english(settings, speak):
    settings.KMES_REDIS_URL = "redis://127.0.0.1:1/0"
    words = "The report queue can't be reached, so no export was started."
    with speak(words), pytest.raises(KmesError) as caught:
        rq_jobs.request_export(LogFilter(), form="csv", actor=ANN)
    assert caught.value.what == marked(words)
    assert LogExport.objects.get().error_what == words
    assert words in LogEntry.objects.get(event="log.export_failed").message


@pytest.mark.django_db(transaction=True)
def test_a_queue_out_of_reach_is_said_and_stays_on_the_page(auditor, settings):
    settings.KMES_REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(KmesError, match="report queue"):
        rq_jobs.request_export(LogFilter(), form="csv", actor=ANN)
    body = auditor.get(URL).content.decode()
    assert "Failed" in body
    assert "report queue can&#x27;t be reached" in body
    assert "Export again" in body


def test_an_empty_list_says_whether_nothing_was_asked_or_the_queue_is_away(auditor, redis_server, settings):
    body = auditor.get(URL).content.decode()
    assert "No export is prepared yet" in body
    assert "empty-none" in body
    settings.KMES_REDIS_URL = "redis://127.0.0.1:1/0"
    body = auditor.get(URL).content.decode()
    assert "The report queue is not reached" in body
    assert "empty-link" in body


def test_a_silent_worker_is_said_and_the_export_can_be_cancelled(auditor):
    export = ask()
    LogExport.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert "Is it running?" in auditor.get(URL).content.decode()
    export_lifecycle.begin(export.pk)
    LogExport.objects.update(seen_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert "fallen silent" in auditor.get(URL).content.decode()
    assert auditor.post(reverse("logs:export_cancel", args=[export.pk]), follow=True).status_code == 200
    assert LogExport.objects.get().state == "cancelled"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["../../etc/passwd", "secret_key", "azure-service-20260101T000000Z.csv", ""])
def test_only_files_of_our_own_naming_are_ever_opened(name, export_folder):
    export_folder.mkdir()
    assert export_files.find(name) is None


def test_an_export_that_is_not_there_gives_404(auditor):
    assert auditor.get(f"{URL}00000000-0000-4000-8000-000000000001/file/").status_code == 404
    assert auditor.get(reverse("logs:export_file", args=[ask().pk])).status_code == 404


def test_starting_and_cancelling_need_a_post_and_the_right(auditor, client, django_user_model):
    export = ask()
    for url in (reverse("logs:export_start"), reverse("logs:export_cancel", args=[export.pk])):
        assert auditor.get(url).status_code == 405
    client.force_login(django_user_model.objects.create_user("op", role="operator"))
    for url in (reverse("logs:export_start"), reverse("logs:export_cancel", args=[export.pk])):
        assert client.post(url).status_code == 403
    assert client.get(reverse("logs:export_file", args=[export.pk])).status_code == 403
    export.refresh_from_db()
    assert export.state == "queued"
