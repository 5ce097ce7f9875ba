"""Forms that lead to a request for approval, and another administrator's browser that approves it."""

from __future__ import annotations

import html

import pytest
from django.test import Client

from jobs.models import Job
from tests.jobs.approving import request_of
from tests.jobs.pages.browsing import body


@pytest.fixture
def second(people, django_user_model):
    """A browser of another administrator."""
    client = Client()
    client.force_login(django_user_model.objects.create_user("ben", role="admin"))
    return client


def text(response):
    return html.unescape(body(response))


def approve(browser, job):
    sent = {"verdict": "approve", "seen": request_of(job).digest}
    return browser.post(f"/approvals/{job.code}/decide/", sent)


def asked(response, kind):
    """The job of the request that a form led to."""
    job = Job.objects.get(kind=kind, state="awaiting")
    assert response.url == f"/approvals/{job.code}/"
    return job
