"""What a job writes is English, whatever language its worker runs in."""

from __future__ import annotations

import pytest

from jobs import tasks
from jobs.engine.signatures import sign_job
from jobs.kinds.self_test.spec import request_self_test
from kmes.core.actor import Actor
from logging_reports.models import LogEntry
from tests.jobs.pages.browsing import make_job
from tests.translations import marked, speak

__all__ = ["speak"]
GONE = "The cloud credential no longer exists."
TITLE = "List Key Vaults"


@pytest.mark.django_db(transaction=True)
def test_a_job_is_recorded_in_english_by_a_worker_of_another_language(speak, admin):
    job = make_job(kind="list_vaults", state="queued", subject="Contoso", requested_by_id=admin.user_id)
    sign_job(job, [])
    job.save()
    with speak(GONE, TITLE):
        assert job.title == marked(TITLE)
        tasks.run_job(str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.error_what) == ("failed", GONE)
    assert [line.text for line in job.messages.all()] == [GONE]
    rows = LogEntry.objects.filter(job_id=job.pk).order_by("sequence").values_list("event", "message")
    assert list(rows) == [
        ("job.started", f"{TITLE}: Contoso"),
        ("job.failed", f"{TITLE}: {GONE}"),
    ]


@pytest.mark.django_db
def test_a_job_that_is_asked_for_in_another_language_is_recorded_in_english(speak, django_user_model):
    actor = Actor.from_user(django_user_model.objects.create_user("ada", role="admin"))
    with speak("Device self-test", "device"):
        job = request_self_test(actor=actor)
    assert job.subject == "device"
    row = LogEntry.objects.get(event="job.requested", job_id=job.pk)
    assert row.message == "Device self-test: device"
