"""Marks of what changed: set when a change is committed, whoever makes it, and never in the way of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from django.apps import apps
from django.db import transaction

from keygroups.models import KeyGroup
from kmes.accounts.models import ConsoleSession
from kmes.core import changes
from kmes.core.changes import TOPICS, Marks, topic_of
from logging_reports.models import LogExport
from tests.services import ROOT

pytestmark = pytest.mark.django_db(transaction=True)
ALL = Marks(TOPICS)
PATIENCE_SECONDS = 30
# Rows that no page shows while it is open, with what they are.
UNSEEN = {
    "jobs.ScheduleClock": "the schedule's own",
    "jobs.ClockWitness": "the schedule's own",
    "jobs.Intent": "a step of the job tells it",
    "jobs.EphemeralKek": "a step of the job tells it",
    "logging_reports.LogHead": "moves with each row of the log",
    "logging_reports.LogCheckpoint": "of the log's verification",
    "logging_reports.CheckpointTimeStamp": "of the log's verification",
    "logging_reports.TimeStampOutage": "of the report worker",
    "logging_reports.SavedFilter": "one user's",
    "logging_reports.Reminder": "kept so that none is sent twice",
    "hsm.HsmDevice": "a row of the log tells it",
    "hsm.WorkerSighting": "of the health checks",
    "operations.StoredOption": "a row of the log tells it",
    "dashboard.Acknowledgement": "a row of the log tells it",
}
# One user's own rows.
PERSONAL = ("accounts", "ui", "auth", "sessions", "contenttypes", "axes", "django_rq", "messages")


@pytest.fixture
def marks(redis_server):
    """What the marks say, once those of earlier tests are set."""
    changes._sender.wait_until_sent(PATIENCE_SECONDS)
    changes._reader._paused_until = 0
    return ALL.read()


def wait_for_another(before: str) -> list[str]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (now := ALL.read()) == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    changes._sender.wait_until_sent(PATIENCE_SECONDS)
    return ALL.changed(before, ALL.read() or now)


def test_a_committed_change_sets_the_mark_of_its_topic(marks):
    LogExport.objects.update(state="failed")
    assert wait_for_another(marks) == ["reports"]


def test_nothing_is_told_before_the_commit_and_nothing_after_a_rollback(marks):
    with transaction.atomic():
        KeyGroup.objects.update(name="x")
        changes._sender.wait_until_sent(PATIENCE_SECONDS)
        assert ALL.read() == marks
        transaction.set_rollback(True)
    LogExport.objects.update(state="failed")
    assert wait_for_another(marks) == ["reports"]


def test_rows_that_no_page_follows_tell_nothing(marks):
    ConsoleSession.objects.all().delete()
    KeyGroup.objects.first()
    changes._sender.wait_until_sent(PATIENCE_SECONDS)
    assert ALL.read() == marks


def test_another_process_is_heard_of_even_if_it_ends_at_once(marks):
    code = "import django; django.setup(); from kmes.core import changes; changes._sender.add('keys'); print('added')"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ, check=True)
    assert wait_for_another(marks) == ["keys"]


def test_without_redis_a_change_is_made_and_the_marks_say_nothing(settings, marks):
    settings.KMES_REDIS_URL = "redis://127.0.0.1:1/0"
    LogExport.objects.update(state="failed")
    assert ALL.read() == ""
    changes._reader._paused_until = 0


def test_a_word_that_can_not_be_compared_means_that_all_may_have_changed():
    assert ALL.changed("", "a-b-c-d-e") == list(TOPICS)
    assert ALL.changed("a-b-c-d-e", "") == list(TOPICS)
    assert ALL.changed("a-b-c-d-e", "a-b-c-d-f") == [TOPICS[-1]]
    assert ALL.changed("a-b-c-d-e", "a-b-c-d-e") == []


def test_every_model_counts_for_a_topic_or_is_known_to_be_unseen():
    known = {
        model._meta.label
        for model in apps.get_models()
        if topic_of(model) or model._meta.label in UNSEEN or model._meta.app_label in PERSONAL
    }
    assert {model._meta.label for model in apps.get_models()} - known == set()
    assert {label for label in UNSEEN if topic_of(apps.get_model(label))} == set()
