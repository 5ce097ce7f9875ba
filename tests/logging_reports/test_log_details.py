"""A row of the System Logs: its details, its neighbours, and whether the chain and the checkpoints hold."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.db import connection
from django.urls import reverse

from kmes.core.actor import SYSTEM
from logging_reports.anchors import read_anchor
from logging_reports.choices import Severity
from logging_reports.services import Subject, record
from tests.logging_reports.log_pages import URL, auditor, write
from tests.logging_reports.signer import Signer

__all__ = ["auditor"]
pytestmark = pytest.mark.django_db


def test_details_show_the_row_its_neighbours_and_the_chain_mark(auditor):
    write(3, job_code="7F3KQ2", subject=Subject(key_id="k1", key="tde-1"), data={"size": 2048})
    body = auditor.get(reverse("logs:detail", args=["azure", 2])).content.decode()
    assert "m0001" in body
    assert "Not yet checked" in body
    Signer().make_checkpoint()
    assert "Chain verified" in auditor.get(reverse("logs:detail", args=["azure", 2])).content.decode()
    write(1)
    assert "Not yet checked" in auditor.get(reverse("logs:detail", args=["azure", 4])).content.decode()
    assert "/logs/azure/1/" in body
    assert "/logs/azure/3/" in body
    assert "job=7F3KQ2" in body
    assert "key=k1" in body
    assert "2048" in body
    assert auditor.get(reverse("logs:detail", args=["azure", 5])).status_code == 404
    assert auditor.get("/logs/azure/99999999999999999999999/").status_code == 404
    assert auditor.get("/logs/nonsense/1/").status_code == 404


def test_a_row_leads_to_what_it_is_about(auditor):
    about = {"job_code": "7F3KQ2", "actor": SYSTEM}
    rows = [
        record("job.requested", **about),
        record("approval.approved", **about),
        record("configuration.changed", actor=SYSTEM),
    ]

    def link_of(row):
        body = auditor.get(reverse("logs:detail", args=["audit", row.sequence])).content.decode()
        found = re.search(r'href="([^"]+)">Show what it is about', body)
        return found and found[1]

    assert [link_of(row) for row in rows] == ["/jobs/7F3KQ2/", "/approvals/7F3KQ2/", None]


def test_a_job_is_called_in_the_log_as_on_its_page_and_found_by_either_name(auditor):
    row = record("job.requested", job_code="7F3KQ2", actor=SYSTEM)
    record("job.requested", job_code="8G4MR3", actor=SYSTEM)
    assert ">job-7F3KQ2<" in auditor.get(reverse("logs:detail", args=["audit", row.sequence])).content.decode()
    for name in ("7F3KQ2", "job-7f3kq2"):
        page = auditor.get(URL, {"service": "audit", "job": name}).content.decode()
        assert ">job-7F3KQ2<" in page
        assert "Job: job-7F3KQ2" in page
        assert "8G4MR3" not in page


@pytest.mark.parametrize("changed", [1, 2, 3])
def test_details_say_when_the_chain_is_broken_at_the_row_or_beside_it(auditor, unguarded_log, changed):
    write(3)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE logging_reports_logentry SET hash = %s, previous_hash = %s WHERE sequence = %s",
            ["1" * 64, "2" * 64, changed],
        )
    assert "Chain broken" in auditor.get(reverse("logs:detail", args=["azure", 2])).content.decode()


def links(body: str, rel: str) -> list[str]:
    return [found.replace("&amp;", "&") for found in re.findall(rf'rel="{rel}" href="([^"]+)"', body)]


def test_neighbours_are_those_of_the_filter_and_the_way_back_keeps_it(auditor):
    for severity in (Severity.ERROR, Severity.INFO, Severity.INFO, Severity.ERROR, Severity.INFO, Severity.ERROR):
        record("azure.probe", actor=SYSTEM, severity=severity)
    body = auditor.get(URL, {"severity": "error"}).content.decode()
    assert re.findall(r'href="(/logs/azure/\d+/[^"]*)"', body)[0] == "/logs/azure/6/?service=azure&amp;severity=error"
    body = auditor.get("/logs/azure/4/?severity=error").content.decode()
    assert links(body, "prev") == ["/logs/azure/1/?service=azure&severity=error"]
    assert links(body, "next") == ["/logs/azure/6/?service=azure&severity=error"]
    back = re.search(r'href="(/logs/\?[^"]+)">Back', body)[1].replace("&amp;", "&")
    assert back == "/logs/?service=azure&severity=error&before=5"
    first = re.findall(r'href="/logs/azure/(\d+)/', auditor.get(back).content.decode())
    assert first[0] == "4"
    unfiltered = auditor.get("/logs/azure/4/").content.decode()
    assert links(unfiltered, "prev")[0].startswith("/logs/azure/3/")
    # A filter that can't be used is none.
    assert auditor.get("/logs/azure/4/?severity=dire").status_code == 200


def test_the_newest_checkpoint_is_shown_and_is_an_anchor(auditor):
    write(2)
    assert "No checkpoint yet" in auditor.get(URL).content.decode()
    checkpoint = Signer().make_checkpoint()
    body = auditor.get(URL).content.decode()
    assert "Checkpoint 1" in body
    assert checkpoint.hash[:16] in body
    answer = auditor.get("/logs/checkpoints/1.txt")
    assert read_anchor(answer.content.decode()).verify().number == 1
    assert "attachment" in answer["Content-Disposition"]
    assert auditor.get("/logs/checkpoints/2.txt").status_code == 404
    with time_machine.travel(checkpoint.at + timedelta(minutes=66)):
        # The session has ended meanwhile.
        auditor.force_login(get_user_model().objects.get(role="auditor"))
        assert "Checkpoint overdue" in auditor.get(URL).content.decode()
        assert "Is a cloud worker running" in auditor.get("/logs/checkpoints/").content.decode()


def test_a_forged_checkpoint_is_no_checkpoint(auditor, unguarded_log):
    write(2)
    checkpoint = Signer().make_checkpoint()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE logging_reports_logcheckpoint SET text = %s", [checkpoint.text.replace("azure 2", "azure 1")]
        )
    assert "Checkpoint not valid" in auditor.get(URL).content.decode()
    assert "Not valid" in auditor.get("/logs/checkpoints/").content.decode()
    assert "Chain broken" in auditor.get("/logs/azure/1/").content.decode()


def test_a_row_under_a_checkpoint_whose_row_is_gone_is_broken(auditor, unguarded_log):
    write(4)
    Signer().make_checkpoint()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM logging_reports_logentry WHERE sequence = 4")
    assert "Chain broken" in auditor.get("/logs/azure/1/").content.decode()
