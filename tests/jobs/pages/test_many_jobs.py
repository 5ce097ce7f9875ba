"""Several jobs at once: cancelled or retried one by one, and what is left out is named with the reason."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from jobs.kinds.check_drift.spec import request_check_drift
from jobs.models import Job
from kmes.core.actor import Actor
from tests.jobs.pages.browsing import FRAGMENT, body, group, make_failed, make_job, pages, people, static_root

__all__ = ["group", "pages", "people", "static_root"]
pytestmark = pytest.mark.django_db
CANCEL, RETRY = reverse("jobs:cancel_many"), reverse("jobs:retry_many")


def picked(*jobs: Job, **more) -> dict[str, object]:
    return {"key": [str(job.pk) for job in jobs], **more}


def test_several_jobs_are_cancelled_and_what_is_left_out_is_named(pages, group):
    queued = [make_job(group, state="queued", subject=name) for name in ("one", "two")]
    ended = make_failed(group)
    page = body(pages.post(CANCEL, picked(*queued, ended, ask="1")))
    assert "Cancel 2 jobs" in page
    assert "Left out: The job has ended" in page
    assert {job.state for job in Job.objects.exclude(pk=ended.pk)} == {"queued"}
    page = body(pages.post(CANCEL, picked(*queued, ended), follow=True))
    assert "Cancellation of 2 jobs requested." in page
    assert f"1 was left out: {ended}: The job has ended." in page
    assert {job.state for job in Job.objects.exclude(pk=ended.pk)} == {"cancelled"}


def test_several_jobs_are_retried_once_each(pages, people, group):
    actor = Actor.from_user(people["admin"])
    failed = request_check_drift(group=group, actor=actor)
    Job.objects.filter(pk=failed.pk).update(state="failed")
    running = make_job(group, kind="check_drift", state="running", subject="other")
    Job.objects.filter(pk=running.pk).update(group=None)
    page = pages.post(RETRY, picked(failed, running, ask="1"))
    assert "Retry 1 job" in body(page)
    assert "Left out: Only a failed or canceled job can be retried" in body(page)
    token = re.search(r'name="idempotency_key" value="([\w-]+)"', body(page))[1]
    sent = picked(failed, running, idempotency_key=token)
    assert "1 job is retried." in body(pages.post(RETRY, sent, follow=True))
    pages.post(RETRY, sent)
    assert Job.objects.filter(retry_of=failed).count() == 1


def test_a_job_that_needs_another_right_is_left_out_of_a_retry(client, people, group):
    client.force_login(people["operator"])
    destroying = make_job(group, kind="destroy", state="failed")
    page = body(client.post(RETRY, picked(destroying)))
    assert "The right “key.destroy” is needed" in page
    assert Job.objects.count() == 1


def test_the_list_has_boxes_for_who_may_do_something_with_several(pages, client, people, group):
    job = make_job(group)
    assert f'value="{job.pk}"' in body(pages.get("/jobs/?show=all"))
    menu = body(pages.post(reverse("jobs:jobs_actions"), picked(job), **FRAGMENT))
    assert f'data-selection-url="{CANCEL}"' in menu
    assert f'data-selection-url="{RETRY}"' in menu
    client.force_login(people["auditor"])
    assert "data-check-row" not in body(client.get("/jobs/?show=all"))
    assert client.post(CANCEL, picked(job)).status_code == 403
