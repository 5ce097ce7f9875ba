"""Calls whose outcome is unknown: when their quarantine begins, and who settles them in the end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from jobs import services
from jobs.journal.intents import quarantine_left
from jobs.kinds.check_drift.spec import request_check_drift
from jobs.kinds.destroy.spec import request_destroy
from jobs.kinds.set_enabled.spec import request_set_enabled
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Intent, Job
from jobs.schedule import scans
from keygroups import lifecycle
from kmes.core import clock
from kmes.core.clock import Uptime
from tests.jobs.builders import make_keys, work

pytestmark = pytest.mark.django_db(transaction=True)


def _reset(stand_in, when, **more):
    fault = {"method": "PUT", "path": "/keys/payments", "reset": when, **more}
    stand_in.control("POST", "/_emulator/faults", fault)


def _later(job):
    """Let what the job waits for be over, but for its quarantine."""
    Job.objects.filter(pk=job.pk).update(run_after=clock.now() - timedelta(seconds=1))
    return work(job)


def _let_quarantines_end():
    for intent in Intent.objects.exclude(sent_at=None):
        long_ago = intent.sent_at - timedelta(hours=1)
        Intent.objects.filter(pk=intent.pk).update(sent_at=long_ago, sent_uptime=intent.sent_uptime - 3600)


def test_the_quarantine_counts_from_the_last_try_and_not_from_the_first_announcement(
    group, admin, azure_stand_in, settings
):
    settings.KMES_SEND_SECONDS = 2
    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = 100
    throttled = {"method": "PUT", "path": "/keys/payments", "status": 429, "retry_after": 3}
    azure_stand_in.control("POST", "/_emulator/faults", throttled)
    _reset(azure_stand_in, "before")
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    assert job.state == "queued"
    intent = Intent.objects.get(operation="import")
    assert intent.state == "unknown"
    # The announcement of three seconds ago was renewed before the second try.
    assert intent.resolved_at - intent.sent_at < timedelta(seconds=2)
    assert quarantine_left(intent) > 97


@pytest.fixture
def in_doubt(group, admin, azure_stand_in, settings):
    """A call that was made a moment ago and may still take effect for 122 seconds at most."""
    settings.KMES_SEND_SECONDS = 2
    settings.KMES_UNKNOWN_QUARANTINE_SECONDS = 120
    _reset(azure_stand_in, "before")
    (key,) = make_keys(group, "one", actor=admin)
    work(request_synchronize(keys=[key], actor=admin))
    return Intent.objects.get(operation="import")


@pytest.mark.parametrize("hours", [1, -1], ids=["ahead", "back"])
def test_a_clock_that_is_set_neither_ends_a_quarantine_nor_prolongs_it(in_doubt, hours, monkeypatch):
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(hours=hours))
    assert 100 < quarantine_left(in_doubt) <= 122


def test_a_clock_set_back_between_announcing_and_no_answer_does_not_shorten_the_quarantine(in_doubt):
    in_doubt.resolved_at = in_doubt.sent_at - timedelta(hours=1)
    assert quarantine_left(in_doubt) > 110


def test_after_a_restart_with_a_wrong_clock_the_quarantine_counts_from_the_restart(in_doubt, monkeypatch):
    in_doubt.sent_at -= timedelta(hours=1)
    monkeypatch.setattr(clock, "uptime", lambda: Uptime("another life", 30.0))
    assert 80 < quarantine_left(in_doubt) <= 92
    # Of another machine, which has been up all the while, only the clock is known.
    monkeypatch.setattr(clock, "uptime", lambda: Uptime("another machine", 90_000.0))
    assert quarantine_left(in_doubt) < 0


def test_a_push_cancelled_in_doubt_is_settled_by_a_comparison(group, admin, vault, azure_stand_in):
    _reset(azure_stand_in, "after")
    (key,) = make_keys(group, "one", actor=admin)
    job = work(request_synchronize(keys=[key], actor=admin))
    services.request_cancel(job=job, actor=admin)
    assert work(job).state == "cancelled"
    assert scans.scan_leftovers() == [], "it may still land"
    _let_quarantines_end()
    (made,) = scans.scan_leftovers()
    assert scans.scan_leftovers() == []
    assert work(Job.objects.get(pk=made)).state == "succeeded"
    assert key.cloud_versions.get(state="active").azure_version in vault.versions("payments")
    assert Intent.objects.get(operation="import").state == "adopted"


def test_a_key_that_another_job_found_is_not_imported_again(group, admin, vault, azure_stand_in):

    _reset(azure_stand_in, "after")
    first, second = make_keys(group, "one", "two", actor=admin)
    pushing = work(request_synchronize(keys=[first], actor=admin))
    assert pushing.state == "queued"
    assert work(request_synchronize(keys=[second], actor=admin)).state == "succeeded"
    assert len(vault.versions("payments")) == 2
    assert _later(pushing).state == "succeeded"
    assert len(vault.versions("payments")) == 2


def test_what_another_job_left_in_doubt_is_not_settled_by_a_look_of_this_one(group, admin, vault, azure_stand_in):
    """Disabling finds its version disabled; that says nothing of an import that may still land."""
    first, second = make_keys(group, "one", "two", actor=admin)
    work(request_synchronize(keys=[first], actor=admin))
    _reset(azure_stand_in, "before")
    pushing = work(request_synchronize(keys=[second], actor=admin))
    assert pushing.state == "queued"
    disabling = work(request_set_enabled(version=first.cloud_versions.get(), enabled=False, actor=admin))
    assert (disabling.state, "may still take effect" in disabling.waiting_for) == ("queued", True)
    assert Intent.objects.get(key=second, operation="import").state == "unknown"


def test_disabling_in_doubt_is_looked_at_before_it_is_repeated(group, admin, vault, azure_stand_in):
    (key,) = make_keys(group, "one", actor=admin)
    work(request_synchronize(keys=[key], actor=admin))
    version = key.cloud_versions.get()
    azure_stand_in.control(
        "POST", "/_emulator/faults", {"method": "PATCH", "path": "/keys/payments/*", "reset": "after"}
    )
    azure_stand_in.control("DELETE", "/_emulator/requests")
    job = work(request_set_enabled(version=version, enabled=False, actor=admin))
    assert job.state == "queued"
    assert _later(job).state == "succeeded"
    assert Intent.objects.get(operation="update").state == "adopted"
    patches = [e for e in azure_stand_in.control("GET", "/_emulator/requests") if e["method"] == "PATCH"]
    assert len([e for e in patches if e["status"] != 401]) == 1
    version.refresh_from_db()
    assert (version.state, version.enabled) == ("disabled", False)


def test_a_key_destroyed_while_its_push_is_in_doubt_does_not_bar_the_group(group, admin, vault, azure_stand_in):
    _reset(azure_stand_in, "after")
    first, second = make_keys(group, "one", "two", actor=admin)
    pushing = work(request_synchronize(keys=[first], actor=admin))
    services.request_cancel(job=pushing, actor=admin)
    work(pushing)
    assert work(request_destroy(keys=[first], actor=admin)).state == "succeeded"
    job = work(request_synchronize(keys=[second], actor=admin))
    assert (job.state, job.error_what) == ("succeeded", "")
    assert len(vault.versions("payments")) == 2
    assert {row.key.name: row.state for row in group.cloud_versions.exclude(state="failed")} == {
        "one": "superseded",
        "two": "active",
    }


def test_a_version_called_missing_is_known_again_when_the_vault_shows_it(group, admin, vault):
    (key,) = make_keys(group, "one", actor=admin)
    work(request_synchronize(keys=[key], actor=admin))
    lifecycle.record_missing(version=key.cloud_versions.get())
    assert work(request_check_drift(group=group, actor=admin)).state == "succeeded"
    assert key.cloud_versions.get().state == "active"


def test_a_rule_of_the_database_that_a_job_would_break_ends_it_and_is_not_tried_for_ever(group, admin):
    def refuse(call, sql, params, many, context):
        if sql.startswith("UPDATE") and "keygroups_cloudversion" in sql and "ordinal" in sql:
            raise IntegrityError("duplicate key value violates unique constraint")
        return call(sql, params, many, context)

    (key,) = make_keys(group, "one", actor=admin)
    job = request_synchronize(keys=[key], actor=admin)
    with connection.execute_wrapper(refuse):
        for _try in range(3):
            job = _later(job)
    assert (job.state, job.error_code) == ("failed", "unexpected")
