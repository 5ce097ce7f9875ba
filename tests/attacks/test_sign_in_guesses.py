"""Somebody who guesses passwords: few tries per address and per name, few rows in the Audit log, no user locked out."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.test import RequestFactory

from kmes.accounts import client_address, sign_in_limits
from kmes.accounts.models import FailedSignIns
from kmes.core.clock import now
from logging_reports.models import LogEntry

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
STRANGER, HOME = "203.0.113.9", "198.51.100.7"


@pytest.fixture(autouse=True)
def few_tries(settings):
    settings.KMES_SIGN_IN_TRIES_PER_ADDRESS = 12
    settings.KMES_SIGN_IN_TRIES_PER_NAME = 8


@pytest.fixture
def ada(django_user_model):
    return django_user_model.objects.create_user("ada", password=PASSWORD, role="admin")


@pytest.fixture
def minute():
    """A whole minute in which the clock stands."""
    with time_machine.travel(now().replace(second=10, microsecond=0), tick=False) as clock:
        yield clock


def sign_in(client, name="ada", password="wrong", address=STRANGER, **more):
    return client.post("/login/", {"username": name, "password": password}, REMOTE_ADDR=address, **more)


def rows():
    return list(LogEntry.objects.filter(event="access.login_failed").order_by("sequence"))


def test_one_address_tries_few_names(client, ada):
    answers = [sign_in(client, f"user{number}").status_code for number in range(20)]
    assert answers == [200] * 12 + [429] * 8
    assert sign_in(client, password=PASSWORD).status_code == 429
    assert sign_in(client, password=PASSWORD, address=HOME).status_code == 302


def test_a_browser_of_another_name_does_not_begin_anew(client, ada):
    answers = [
        sign_in(client, f"user{number}", HTTP_USER_AGENT=f"browser {number}").status_code for number in range(13)
    ]
    assert answers[-1] == 429


def test_many_addresses_try_one_name_a_few_times_and_its_user_still_signs_in(client, ada):
    assert sign_in(client, password=PASSWORD, address=HOME).status_code == 302
    client.logout()
    answers = [sign_in(client, address=f"203.0.113.{number}").status_code for number in range(10)]
    assert answers == [200] * 8 + [429] * 2
    assert sign_in(client, password=PASSWORD, address="203.0.113.99").status_code == 429
    assert sign_in(client, password=PASSWORD, address=HOME).status_code == 302


def test_the_limits_end_with_their_time(client, ada):
    for number in range(13):
        sign_in(client, f"user{number}")
    with time_machine.travel(now() + timedelta(minutes=16)):
        assert sign_in(client, password=PASSWORD).status_code == 302


def test_tries_of_one_minute_are_one_row_and_their_number_another(client, ada, minute):
    for _try in range(40):
        sign_in(client)
    first = rows()
    # One for the name, one for what was refused without looking at a name.
    assert [(row.actor_name, row.data["address"]) for row in first] == [("ada", STRANGER), ("unknown", STRANGER)]
    assert sign_in_limits.log_repeated() == 0
    minute.shift(60)
    assert sign_in_limits.log_repeated() == 2
    assert sum(row.data["tries"] for row in rows()[2:]) + 2 == 40
    assert sign_in_limits.log_repeated() == 0


def test_a_thousand_names_of_one_address_are_few_rows(client, minute):
    for number in range(100):
        sign_in(client, f"user{number}")
    assert len(rows()) == 13


def test_what_is_counted_is_not_kept_for_long(client, minute):
    sign_in(client)
    minute.shift(2 * 86_400)
    sign_in_limits.log_repeated()
    assert not FailedSignIns.objects.exists()


@pytest.mark.parametrize("name", ["a\0b", "\0", "n" * 300, "ü" * 151, "", "a\r\nb"])
def test_no_name_ends_in_an_error(client, name):
    assert sign_in(client, name).status_code == (400 if "\0" in name else 200)
    sign_in_limits.log_refusal(name=name, address="")


def test_no_header_ends_in_an_error(client, settings):
    settings.KMES_TRUSTED_PROXIES = 1
    for number, text in enumerate(("x" * 5000, "\x7f\xff", "1.2.3.4, ", ",", "[::1", "1.2.3.4:99999:1")):
        more = {"HTTP_X_FORWARDED_FOR": text, "HTTP_USER_AGENT": text, "HTTP_ACCEPT": text}
        assert sign_in(client, f"user{number}", **more).status_code == 200


# --- The client's address ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("proxies", "seen", "address"),
    [
        (0, "192.0.2.1", "10.0.0.1"),
        (1, "192.0.2.1", "192.0.2.1"),
        (1, "192.0.2.66, 192.0.2.1", "192.0.2.1"),
        (2, "192.0.2.66, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        (1, "", "10.0.0.1"),
        (2, "192.0.2.1", "10.0.0.1"),
        (1, "nonsense", "10.0.0.1"),
        (1, "192.0.2.1:4711", "192.0.2.1"),
        (1, "::ffff:192.0.2.1", "192.0.2.1"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        (1, "[2001:db8:1:2:3:4:5:6]:4711", "2001:db8:1:2::"),
    ],
)
def test_the_address_is_what_the_outermost_trusted_proxy_saw(settings, proxies, seen, address):
    settings.KMES_TRUSTED_PROXIES = proxies
    more = {"HTTP_X_FORWARDED_FOR": seen} if seen else {}
    assert client_address.of_request(RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", **more)) == address


def test_behind_a_counted_proxy_a_stranger_locks_nobody_else_out(client, ada, settings):
    settings.KMES_TRUSTED_PROXIES = 1
    for _try in range(6):
        sign_in(client, address="10.0.0.1", HTTP_X_FORWARDED_FOR=f"1.1.1.1, {STRANGER}")
    assert sign_in(client, password=PASSWORD, address="10.0.0.1", HTTP_X_FORWARDED_FOR=HOME).status_code == 302
