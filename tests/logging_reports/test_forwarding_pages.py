"""Logging and Reporting > Log forwarding: who may, what is refused, what is logged, what is shown."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from logging_reports.forwarding import alarms, destinations
from logging_reports.forwarding.choices import Start
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.models import LogEntry, Notice
from tests.logging_reports.forwarding import last_row, values, write_rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(db):
    model = get_user_model()
    roles = ("admin", "custodian", "operator", "auditor")
    return {role: model.objects.create_user(f"a-{role}", f"{role}@example.com", role=role) for role in roles}


@pytest.fixture
def admin(client, people):
    client.force_login(people["admin"])
    return client


@pytest.fixture
def destination(db):
    return destinations.add_destination(values(host="siem.example.com"), start=Start.BEGINNING, actor=SYSTEM)


def typed(**changes):
    return {
        "name": "siem", "transport": "syslog", "row_format": "rfc5424", "host": "siem.example.com", "port": "",
        "services": ["audit", "device"], "lowest_severity": "info", "events": "", "start": "now", "is_enabled": "on",
        **changes,
    }  # fmt: skip


@pytest.mark.parametrize("role", ["custodian", "operator", "auditor"])
def test_only_administrators_change_destinations_and_others_see_them(role, client, people, destination):
    client.force_login(people[role])
    assert client.get("/forwarding/").status_code == 200
    assert client.get(destination.get_absolute_url()).status_code == 200
    assert client.get("/forwarding/add/").status_code == 403
    for path in ("edit", "test", "again", "delete"):
        assert client.post(f"/forwarding/{destination.pk}/{path}/", typed()).status_code == 403
    assert ForwardingDestination.objects.get().name == "siem"


def test_a_destination_is_added_and_logged(admin):
    answer = admin.post("/forwarding/add/", typed())
    made = ForwardingDestination.objects.get()
    assert answer["Location"] == made.get_absolute_url()
    assert (made.port, made.path, made.token) == (6514, "", "")
    assert {each.service: each.start for each in made.positions.all()} == {"audit": last_row() - 1, "device": 0}
    row = LogEntry.objects.get(event="forwarding.destination_added")
    assert (row.severity, row.actor_name) == ("warning", "a-admin")
    assert row.data["address"] == "siem.example.com:6514"


def test_a_collector_has_a_path_and_a_token_that_no_page_shows(admin):
    admin.post("/forwarding/add/", typed(transport="collector", row_format="json", token="t0ken-t0ken-t0ken"))
    made = ForwardingDestination.objects.get()
    assert (made.port, made.path) == (8088, "/services/collector/event")
    for path in ("", "edit/"):
        page = admin.get(f"{made.get_absolute_url()}{path}").content.decode()
        assert "t0ken" not in page
        assert made.token not in page


def test_a_changed_address_asks_for_the_token_again(admin):
    collector = {"transport": "collector", "row_format": "json"}
    admin.post("/forwarding/add/", typed(**collector, token="t0ken-t0ken-t0ken"))
    made = ForwardingDestination.objects.get()
    answer = admin.post(f"{made.get_absolute_url()}edit/", typed(**collector, host="other.example.com"))
    assert answer.status_code == 422
    assert "Enter the token again." in answer.content.decode()
    admin.post(f"{made.get_absolute_url()}edit/", typed(**collector, name="renamed"))
    kept = ForwardingDestination.objects.get()
    assert (kept.name, kept.token, kept.host) == ("renamed", made.token, "siem.example.com")
    assert LogEntry.objects.get(event="forwarding.destination_changed").data["before"]["name"] == "siem"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"host": "10.0.0.5"}, "lies inside this network"),
        ({"port": "70000"}, "less than or equal to 65535"),
        ({"services": []}, "This field is required."),
        ({"events": "no.such"}, "There is no event no.such."),
        ({"ca_certificates": "ü"}, "These are no certificates in PEM form."),
        ({"ca_certificates": "x"}, "These are no certificates in PEM form."),
        ({"ca_certificates": "-----BEGIN PRIVATE KEY-----"}, "This holds a private key."),
        ({"token": "x"}, "Only a collector has a token."),
        ({"transport": "collector", "path": "http://x"}, "begins with a slash"),
        ({"transport": "collector", "token": "a b"}, "no spaces"),
    ],
)
def test_what_can_not_work_is_refused(admin, changes, text):
    answer = admin.post("/forwarding/add/", typed(**changes))
    assert answer.status_code == 422
    assert text in answer.content.decode()
    assert not ForwardingDestination.objects.exists()


def test_the_list_and_the_page_show_how_far_it_is_behind(admin, destination):
    write_rows(1200)
    page = admin.get("/forwarding/").content.decode()
    assert f"{last_row():,}" in page
    page = admin.get(destination.get_absolute_url()).content.decode()
    assert f"{last_row():,}" in page


def test_the_list_costs_the_same_for_many_destinations(admin, destination, django_assert_max_num_queries):
    write_rows(3)
    for number in range(10):
        destinations.add_destination(values(name=f"n{number}"), start=Start.BEGINNING, actor=SYSTEM)
    with django_assert_max_num_queries(14):
        admin.get("/forwarding/")


def test_the_state_is_sent_only_when_it_changed(admin, destination):
    part = {"HTTP_HX_TARGET": "forwarding-state", "HTTP_HX_REQUEST": "true"}
    page = admin.get(destination.get_absolute_url(), **part).content.decode()
    seen = page.partition("?seen=")[2].partition('"')[0]
    assert admin.get(f"{destination.get_absolute_url()}?seen={seen}", **part).status_code == 204
    write_rows(1)
    assert admin.get(f"{destination.get_absolute_url()}?seen={seen}", **part).status_code == 200


def test_a_test_is_requested_once_at_a_time_and_logged(admin, destination):
    admin.post(f"{destination.get_absolute_url()}test/")
    admin.post(f"{destination.get_absolute_url()}test/")
    assert LogEntry.objects.filter(event="forwarding.test_requested").count() == 1
    assert "On its way" in admin.get(destination.get_absolute_url()).content.decode()


def test_rows_are_sent_again_only_from_a_row_that_was_sent(admin, destination):
    write_rows(5)
    destination.positions.update(confirmed=4, announced=4, settled=4, settling=4)
    for first in ("5", "0", "x", "99999999999"):
        admin.post(f"{destination.get_absolute_url()}again/", {"service": "audit", "first": first})
    assert destination.positions.get().confirmed == 4
    admin.post(f"{destination.get_absolute_url()}again/", {"service": "audit", "first": "3"})
    position = destination.positions.get()
    assert (position.confirmed, position.last_sent, position.announced) == (2, 2, 4)
    assert LogEntry.objects.get(event="forwarding.sent_again").data["first"] == 3


def test_a_deleted_destination_is_logged_with_what_it_did_not_get(admin, destination):
    write_rows(2)
    waiting = last_row()
    admin.post(f"{destination.get_absolute_url()}delete/")
    assert not ForwardingDestination.objects.exists()
    assert LogEntry.objects.get(event="forwarding.destination_deleted").data["waiting"] == waiting
    assert admin.get(destination.get_absolute_url()).status_code == 404


# --- The alarm -------------------------------------------------------------------------------
def test_a_destination_that_fails_for_long_is_an_alarm_once_and_then_it_is_gone(destination):
    since = now() - timedelta(minutes=16)
    ForwardingDestination.objects.update(
        failing_since=since, failures=9, last_error="The receiver refuses the connection."
    )
    alarms.check()
    alarms.check()
    row = LogEntry.objects.get(event="forwarding.behind")
    assert "The receiver refuses the connection." in row.message
    assert row.severity == "error"
    assert Notice.objects.filter(event="forwarding.behind").count() == 1
    ForwardingDestination.objects.update(failing_since=None, failures=0, last_error="")
    alarms.check()
    alarms.check()
    assert LogEntry.objects.filter(event="forwarding.resumed").count() == 1


def test_a_destination_that_nobody_serves_is_an_alarm_by_the_age_of_its_oldest_row(destination, settings):
    settings.KMES_FORWARDING_ALARM_SECONDS = 3600
    write_rows(1)
    alarms.check()
    assert not LogEntry.objects.filter(event="forwarding.behind").exists()
    settings.KMES_FORWARDING_ALARM_SECONDS = 0
    alarms.check()
    assert LogEntry.objects.filter(event="forwarding.behind").exists()


def test_a_destination_that_is_not_in_use_is_no_alarm(destination, settings):
    settings.KMES_FORWARDING_ALARM_SECONDS = 0
    write_rows(1)
    ForwardingDestination.objects.update(is_enabled=False)
    alarms.check()
    assert not LogEntry.objects.filter(event="forwarding.behind").exists()
