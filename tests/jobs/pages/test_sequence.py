"""The calls of a job as a picture: who was called, how long it took, what failed; for who may read the log."""

from __future__ import annotations

import html
import re

import pytest

from jobs.models import Job
from jobs.pages import sequence
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from logging_reports.services import record
from tests.people import FRAGMENT, body, pages, people

__all__ = ["pages", "people"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def job():
    made = Job.objects.create(
        kind="synchronize", state="succeeded", actor_name="a", trigger="user", run_after=now(), finished_at=now()
    )
    for event, facts in (
        ("azure.deleted_key_read", {"http_status": 404, "duration_ms": 7}),
        ("azure.key_wrapped", {}),
        ("azure.intent", {}),
        ("azure.key_imported", {"http_status": 200, "duration_ms": 30, "provider_request_id": "1234567890ab"}),
    ):
        record(event, actor=SYSTEM, job_id=made.pk, job_code=made.code, **facts)
    return made


def told(page: str) -> str:
    return html.unescape(re.findall(r"<desc [^>]*>(.*?)</desc>", page, re.DOTALL)[0])


def test_the_sequence_tells_each_call_and_leads_to_its_row(pages, job):
    page = body(pages.get(f"/jobs/{job.code}/sequence/"))
    assert told(page) == "2 calls to Azure in 37 ms; 1 step in the HSM; 0 failed.", "a 404 may be an answer"
    assert "200 · 30 ms · 12345678…" in page
    assert 'href="/logs/azure/4/"' in page
    assert "Change about to be sent" not in page


def test_a_call_that_failed_is_marked(pages, job):
    record("azure.throttled", actor=SYSTEM, job_id=job.pk, http_status=429, duration_ms=3)
    page = body(pages.get(f"/jobs/{job.code}/sequence/"))
    assert "1 failed." in told(page)
    assert "✕ 429 · 3 ms" in page


def test_the_page_asks_again_only_while_the_job_runs(pages, job):
    address = f"/jobs/{job.code}/sequence/"
    assert 'data-follows="log jobs"' not in body(pages.get(address, **FRAGMENT))
    Job.objects.update(state="running", finished_at=None)
    assert 'data-follows="log jobs"' in body(pages.get(address, **FRAGMENT))
    assert pages.get(f"{address}?seen=4", **FRAGMENT).status_code == 204


def test_of_many_calls_the_first_are_drawn(pages, job, monkeypatch):
    monkeypatch.setattr(sequence, "MOST_ROWS", 2)
    assert "Only the first calls are drawn." in body(pages.get(f"/jobs/{job.code}/sequence/"))


def test_the_job_page_leads_to_it(pages, job):
    assert f'hx-get="/jobs/{job.code}/sequence/"' in body(pages.get(job.get_absolute_url()))
