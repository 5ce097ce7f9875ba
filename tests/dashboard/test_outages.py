"""Every page is served while Redis is down or frozen and no device answers, and says so in words."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import redis
from django.core.management import call_command
from django.urls import URLPattern, get_resolver

from cloudcreds.models import CloudCredential
from hsm.services import record_availability, record_worker
from jobs.engine import hints
from jobs.models import Job
from kmes.devtools.page_costs import list_paths
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["log_can_be_flushed"]
pytestmark = pytest.mark.django_db(transaction=True)
# A page asks Redis once, for a second at most; the rest is for a busy machine.
PAGE_SECONDS = 4
# One try to send the hint, over a connection that may have to be made anew first.
START_SECONDS = 10
# Pages that end the session.
LEFT_OUT = frozenset({"/logout/"})
# A probe's 503 is its way to say so.
PROBES = frozenset({"/readyz"})


def plain_paths(patterns=None, before="/"):
    """Every address of the console that holds no name or number."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = str(pattern.pattern)
        if "<" in route or "(" in route or route.startswith("^"):
            continue
        if isinstance(pattern, URLPattern):
            yield before + route
        else:
            yield from plain_paths(pattern.url_patterns, before + route)


@pytest.fixture(params=["down", "frozen"])
def outage(request, settings):
    """Redis out of reach, and a worker's device that was last seen to be away."""
    record_availability(code="hsm_unavailable", serial="")
    record_worker(host="worker-1", state="hsm_unavailable", serial="")
    if request.param == "down":
        settings.KMES_REDIS_URL = "redis://127.0.0.1:1/0"
        yield request.param
        return
    with redis.Redis.from_url(request.getfixturevalue("redis_server")) as client:
        pid = client.info()["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield request.param
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def pages(client, django_user_model, settings):
    """The pages with something on them, as an administrator sees them."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    client.force_login(django_user_model.objects.create_user("ada", role="admin"))
    call_command("seed", groups=6, keys=20, logs=60, verbosity=0)
    client.raise_request_exception = False
    return client


def test_every_page_is_served_within_seconds(pages, outage):
    wrong, slow = {}, {}
    for path in dict.fromkeys([*list_paths(), *plain_paths()]):
        if path in LEFT_OUT:
            continue
        began = time.monotonic()
        answer = pages.get(path)
        took = time.monotonic() - began
        if answer.status_code >= 500 and path not in PROBES:
            wrong[path] = answer.status_code
        if took > PAGE_SECONDS:
            slow[path] = round(took, 1)
    assert (wrong, slow) == ({}, {})
    assert "Redis does not answer: jobs wait until it is back, and nothing is lost" in pages.get("/").content.decode()


def test_a_job_can_be_started_and_waits_in_its_row(pages, outage, monkeypatch):
    credential = CloudCredential.objects.first()
    path = f"/jobs/start/test_connection/?credential={credential.pk}"
    monkeypatch.setattr(hints.Pause, "until", 0.0)
    assert pages.get(path).status_code == 200
    began, before = time.monotonic(), Job.objects.count()
    answer = pages.post(path, {})
    assert time.monotonic() - began < START_SECONDS
    assert (answer.status_code, Job.objects.count()) == (302, before + 1), answer.content.decode()
    page = pages.get(answer["Location"])
    assert "a worker takes the job as soon as one is free" in page.content.decode()
    if outage == "frozen":
        # The time-out of the first hint, three seconds, is not paid again by each that follows.
        began = time.monotonic()
        for _hint in range(5):
            hints.send(Job.objects.latest("created_at").pk)
        assert time.monotonic() - began < 10
