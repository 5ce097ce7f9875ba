"""What the answers of a service tell of its clock, and what they do not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from cloudcreds.azure import service_clock
from cloudcreds.azure.answers import Answer, AskedService
from kmes.core import clock
from kmes.core.clock import now, steady

VAULT, LOGIN = "https://kv.vault.azure.net", "https://login.microsoftonline.com"


@pytest.fixture(autouse=True)
def fresh():
    service_clock.forget()
    yield
    service_clock.forget()


def date_of(hours):
    return format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)


def hear(service=AskedService.VAULT, url=VAULT, *, date, count=1, **headers):
    for _each in range(count):
        answer = Answer("GET", f"{url}/keys", 200, {"date": date, **headers}, b"{}")
        service_clock.read(service, answer, sent_at=steady(), came_at=steady())


def hear_of_new_key(hours, method="POST", path="/keys/k/create"):
    created = int((now() + timedelta(hours=hours)).timestamp())
    body = json.dumps({"attributes": {"created": created}}).encode()
    service_clock.read(
        AskedService.VAULT, Answer(method, VAULT + path, 200, {}, body), sent_at=steady(), came_at=steady()
    )


def hours_behind():
    found = service_clock.difference(AskedService.VAULT, VAULT)
    return None if found is None else -round(found.value / timedelta(hours=1))


def test_one_header_proves_nothing_and_two_that_agree_do():
    hear(date=date_of(3))
    assert hours_behind() is None
    hear(date=date_of(3))
    assert hours_behind() == 3


@pytest.mark.parametrize("hours", [-3, 0, 3, 24 * 400])
def test_a_stray_header_among_others_is_outvoted(hours):
    hear(date=date_of(hours), count=2)
    hear(date=date_of(-7))
    assert hours_behind() == hours


def test_headers_that_all_differ_prove_nothing():
    for hours in (1, 5, 9):
        hear(date=date_of(hours))
    assert hours_behind() is None


@pytest.mark.parametrize(
    "date",
    [
        "",
        "soon",
        "Wed, 99 Xyz 2015",
        "Sun, 26 Nov 2026 08:00:00 GMT",
        "Thu, 26 Nov 2026 08:00:00 -0000",
        "Thursday, 26-Nov-26 08:00:00 GMT",
        "Thu, 26 Nov 2026 08:00:00 GMT, Thu, 26 Nov 2026 09:00:00 GMT",
        "Thu, 26 Nov 99999 08:00:00 GMT",
    ],
)
def test_a_damaged_header_is_none(date):
    hear(date=date, count=4)
    assert hours_behind() is None


def test_a_stored_answer_tells_no_time():
    hear(date=date_of(3), count=4, age="10800")
    assert hours_behind() is None


@pytest.mark.parametrize(("method", "path"), [("POST", "/keys/k/create"), ("PUT", "/keys/k")])
def test_what_the_vault_states_counts_before_any_header(method, path):
    hear(date=date_of(3), count=4)
    hear_of_new_key(0, method, path)
    hear(date=date_of(3), count=4)
    assert hours_behind() == 0


def test_the_time_of_an_older_version_is_not_the_time_of_the_answer():
    hear_of_new_key(-5, "PATCH", "/keys/k/1")
    hear_of_new_key(-5, "GET", "/keys/k")
    assert hours_behind() is None


def test_headers_that_another_service_contradicts_are_not_certain():
    hear(date=date_of(3), count=2)
    assert service_clock.difference(AskedService.VAULT, VAULT).is_certain
    hear(AskedService.SIGN_IN, LOGIN, date=date_of(0), count=2)
    assert not service_clock.difference(AskedService.VAULT, VAULT).is_certain
    hear_of_new_key(3)
    assert service_clock.difference(AskedService.VAULT, VAULT).is_certain


def test_a_clock_that_is_set_right_counts_at_once(monkeypatch):
    monkeypatch.setattr(service_clock, "now", lambda: now() - timedelta(hours=3))
    hear(date=date_of(0), count=2)
    assert hours_behind() == 3
    monkeypatch.setattr(service_clock, "now", now)
    assert hours_behind() == 0


def test_old_readings_are_forgotten(monkeypatch):
    hear(date=date_of(3), count=2)
    later = clock.steady() + service_clock.KEPT_SECONDS + 1
    monkeypatch.setattr(service_clock, "steady", lambda: later)
    assert hours_behind() is None
