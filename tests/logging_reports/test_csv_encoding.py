"""CSV files begin with a byte order mark for Excel, unless a user chose plain UTF-8."""

from __future__ import annotations

import codecs
import hashlib

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from kmes.core.actor import SYSTEM
from kmes.ui.models import Preference
from logging_reports import rq_jobs
from logging_reports.models import LogEntry, LogExport
from logging_reports.offline import main
from logging_reports.services import Draft, record_many
from tests.logging_reports.signer import write_evidence

pytestmark = pytest.mark.django_db
FILES = ["/logs/export.csv", "/reports/activity/export.csv"]
CHOICE = "/preferences/csv/"


@pytest.fixture
def auditor(client):
    record_many([Draft(event="azure.probe", actor=SYSTEM, message="Schlüssel")])
    client.force_login(get_user_model().objects.create_user("audra", role="auditor"))
    return client


def content(client, url) -> bytes:
    return b"".join(client.get(url).streaming_content)


@pytest.mark.parametrize("url", FILES)
def test_a_file_begins_with_the_mark_until_plain_utf_8_is_chosen(auditor, url):
    before = content(auditor, url)
    assert before.startswith(codecs.BOM_UTF8)
    assert auditor.post(CHOICE, {"encoding": "plain"}).status_code == 302
    after = content(auditor, url)
    assert not after.startswith(codecs.BOM_UTF8)
    assert after.splitlines()[0] == before.removeprefix(codecs.BOM_UTF8).splitlines()[0]


def test_the_hash_in_the_log_is_that_of_the_whole_file(auditor):
    for encoding in ("excel", "plain"):
        auditor.post(CHOICE, {"encoding": encoding})
        digest = hashlib.sha256(content(auditor, FILES[0])).hexdigest()
        assert LogEntry.objects.filter(event="log.exported").latest("sequence").data["sha256"] == digest


def test_the_choice_is_the_users_own_and_outlives_the_session(auditor, client):
    auditor.post(CHOICE, {"encoding": "plain"})
    user = get_user_model().objects.get(username="audra")
    again, other = Client(), Client()
    again.force_login(user)
    other.force_login(get_user_model().objects.create_user("ben", role="auditor"))
    assert not content(again, FILES[0]).startswith(codecs.BOM_UTF8)
    assert content(other, FILES[0]).startswith(codecs.BOM_UTF8)
    assert '<option value="plain" selected>' in again.get("/logs/").content.decode()


def test_an_unknown_choice_or_a_forged_one_changes_nothing(auditor):
    auditor.post(CHOICE, {"encoding": "utf-7"})
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(get_user_model().objects.get(username="audra"))
    assert strict.post(CHOICE, {"encoding": "plain"}).status_code == 403
    assert auditor.get(CHOICE).status_code == 405
    assert not Preference.objects.filter(name="csv").exists()


@pytest.mark.parametrize(("encoding", "stored", "mark"), [("excel", "csv", True), ("plain", "csv-utf8", False)])
def test_a_background_export_follows_the_choice_of_who_asked(
    auditor, settings, tmp_path, redis_server, encoding, stored, mark
):
    settings.KMES_EXPORT_DIR = str(tmp_path)
    auditor.post(CHOICE, {"encoding": encoding})
    auditor.post("/logs/exports/start/", {"service": "azure", "format": ""})
    export = LogExport.objects.get()
    assert export.format == stored
    name = rq_jobs.run_export(str(export.pk))
    assert name.endswith(".csv")
    assert (tmp_path / name).read_bytes().startswith(codecs.BOM_UTF8) is mark


def test_an_export_that_an_editor_gave_a_mark_verifies_offline(auditor, tmp_path):
    path = tmp_path / "export.jsonl"
    path.write_bytes(codecs.BOM_UTF8 + content(auditor, "/logs/export.jsonl"))
    assert main([str(path), *write_evidence(tmp_path), "--filtered"]) == 0


def test_json_lines_have_no_mark(auditor):
    assert content(auditor, "/logs/export.jsonl").startswith(b"{")
