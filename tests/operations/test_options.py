"""Options: chosen on a page, held in rows, locked by the environment, and in force where they matter."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from kmes.core import options
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import InputError
from kmes.operations.models import StoredOption
from kmes.operations.services import choose_options
from logging_reports.models import LogEntry
from logging_reports.rq_jobs import prune_exports
from tests.people import ROLES, body, pages, people, static_root

__all__ = ["pages", "people", "static_root"]
pytestmark = pytest.mark.django_db
PAGE, SAVE = "/administration/configuration/options/", "/administration/configuration/options/save/"


def typed(**changes):
    return {name: str(options.value(name)) for name in options.OPTIONS} | changes


def test_without_a_choice_the_settings_default_holds(settings):
    settings.KMES_EXPORT_KEEP_DAYS = 11
    assert options.value("export_keep_days") == 11


def test_a_chosen_value_holds_at_once_and_is_logged(pages):
    assert pages.post(SAVE, typed(export_keep_days="30"))["Location"] == PAGE
    assert options.value("export_keep_days") == 30
    row = LogEntry.objects.get(event="configuration.changed")
    assert (row.actor_name, row.data["changes"]) == ("the-admin", {"export_keep_days": [7, 30]})
    assert "Last changed by the-admin" in body(pages.get(PAGE))
    # The same again is no change.
    pages.post(SAVE, typed())
    assert LogEntry.objects.filter(event="configuration.changed").count() == 1


@pytest.mark.parametrize("bad", ["0", "-1", "99999", "seven", ""])
def test_a_value_outside_its_limits_is_refused(pages, bad):
    answer = pages.post(SAVE, typed(export_keep_days=bad))
    assert answer.status_code == 422
    assert 'role="alert"' in body(answer)
    assert not StoredOption.objects.exists()


def test_the_service_refuses_such_a_value_whoever_calls_it(people):
    with pytest.raises(InputError, match="between 1 and"):
        choose_options(values={"export_keep_days": 0}, actor=Actor.from_user(people["admin"]))


def test_what_the_environment_names_can_not_be_typed_over(pages, monkeypatch, settings):
    StoredOption.objects.create(name="export_keep_days", value=30, changed_at="2026-01-01T00:00Z", changed_by="x")
    monkeypatch.setenv("KMES_EXPORT_KEEP_DAYS", "5")
    settings.KMES_EXPORT_KEEP_DAYS = 5
    assert options.value("export_keep_days") == 5
    page = body(pages.get(PAGE))
    assert "Set by the environment (KMES_EXPORT_KEEP_DAYS)" in page
    pages.post(SAVE, typed(export_keep_days="90", compare_every_hours="12"))
    assert options.value("export_keep_days") == 5
    assert options.value("compare_every_hours") == 12


def test_the_report_worker_prunes_by_the_chosen_days(settings, tmp_path, people):
    settings.KMES_EXPORT_DIR = tmp_path
    old = tmp_path / "audit-20260101T000000Z.csv"
    old.touch()
    ten_days_ago = (now() - timedelta(days=10)).timestamp()
    os.utime(old, (ten_days_ago, ten_days_ago))
    choose_options(values={"export_keep_days": 12}, actor=Actor.from_user(people["admin"]))
    assert prune_exports() == 0
    choose_options(values={"export_keep_days": 9}, actor=Actor.from_user(people["admin"]))
    assert prune_exports() == 1
    assert not old.exists()


@pytest.mark.parametrize("role", ROLES)
def test_everybody_reads_and_only_administrators_choose(client, people, role):
    client.force_login(people[role])
    page = body(client.get(PAGE))
    assert "never changed or deleted" in page
    assert ("Configuration:Manage" in page) == (role != "admin")
    assert client.post(SAVE, typed(export_keep_days="30")).status_code == (302 if role == "admin" else 403)
    assert StoredOption.objects.exists() == (role == "admin")


def test_choosing_needs_the_token_of_the_form(people):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["admin"])
    assert strict.post(SAVE, typed(export_keep_days="30")).status_code == 403


def test_the_page_stays_cheap(pages):
    with CaptureQueriesContext(connection) as queries:
        pages.get(PAGE)
    assert len(queries) <= 12
