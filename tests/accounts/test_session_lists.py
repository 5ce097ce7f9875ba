"""Sessions: listed with device, address and last use, ended one by one or all but this one, and a new device is noticed."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.test import Client, RequestFactory

from kmes.accounts import devices
from kmes.accounts.models import ConsoleSession, KnownDevice
from kmes.accounts.session_store import digest_of, name_of
from kmes.core.clock import now
from logging_reports.models import LogEntry
from logging_reports.notices.models import Notice
from tests.people import FRAGMENT, body, make_people

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
HOME, OFFICE = "198.51.100.7", "203.0.113.9"


@pytest.fixture
def users(db):
    return make_people(password=PASSWORD)


def browser_of(user, agent=FIREFOX, address=HOME):
    """A browser in which the user is signed in."""
    client = Client(HTTP_USER_AGENT=agent, REMOTE_ADDR=address)
    assert client.post("/login/", {"username": user.username, "password": PASSWORD}).status_code == 302
    return client


def key_of(client):
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def name(client):
    return name_of(key_of(client))


def answers(client):
    return client.get("/shortcuts/").status_code


def test_a_user_sees_the_own_sessions_with_device_address_and_which_this_is(users):
    here, _there = browser_of(users["operator"]), browser_of(users["operator"], CHROME, OFFICE)
    browser_of(users["auditor"], address="192.0.2.77")
    page = body(here.get("/profile/sessions/"))
    for text in ("Firefox, Windows", HOME, "Chrome, Linux", OFFICE):
        assert text in page
    assert page.count("This session") == 1
    assert "192.0.2.77" not in page


def test_no_page_shows_a_key_that_signs_in(users):
    admin = browser_of(users["admin"])
    other = browser_of(users["operator"])
    for path in ("/profile/sessions/", "/sessions/", f"/sessions/{name(other)}/end/"):
        page = body(admin.get(path))
        assert key_of(admin) not in page
        assert key_of(other) not in page


def test_an_ended_session_is_refused_from_the_next_request_on(users):
    here, there = browser_of(users["operator"]), browser_of(users["operator"], CHROME)
    assert "will be signed out" in body(here.get(f"/sessions/{name(there)}/end/", **FRAGMENT))
    assert here.post(f"/sessions/{name(there)}/end/").status_code == 302
    assert (answers(there), answers(here)) == (302, 200)
    row = LogEntry.objects.get(event="access.session_ended")
    assert (row.severity, row.message) == ("info", f"Session of the-operator ended: Chrome, Linux, {HOME}")


def test_who_ends_the_session_in_use_is_led_to_the_sign_in(users):
    here = browser_of(users["operator"])
    answer = here.post(f"/sessions/{name(here)}/end/")
    assert (answer.status_code, answer.url) == (302, "/login/")
    assert answers(here) == 302


def test_an_administrator_ends_the_session_of_anybody_which_is_a_warning_in_the_log(users):
    admin, operator = browser_of(users["admin"]), browser_of(users["operator"], CHROME, OFFICE)
    assert OFFICE in body(admin.get("/sessions/"))
    assert admin.post(f"/sessions/{name(operator)}/end/").url == "/sessions/"
    assert answers(operator) == 302
    row = LogEntry.objects.get(event="access.session_ended")
    assert (row.severity, row.actor_name) == ("warning", "the-admin")


def test_all_other_sessions_end_at_once_and_this_one_stays(users):
    here, *others = (browser_of(users["auditor"]) for _each in range(4))
    foreign = browser_of(users["operator"])
    assert here.get("/profile/sessions/end-others/").status_code == 200
    assert "3 sessions are ended." in body(here.post("/profile/sessions/end-others/", follow=True))
    assert {answers(each) for each in others} == {302}
    assert (answers(here), answers(foreign)) == (200, 200)


def test_a_new_password_a_reset_and_a_deactivation_leave_no_row_behind(users):
    admin, here, _there = browser_of(users["admin"]), browser_of(users["operator"]), browser_of(users["operator"])
    fields = {"old_password": PASSWORD, "new_password1": "a staple for nobody but me"}
    assert here.post("/profile/password/", {**fields, "new_password2": fields["new_password1"]}).status_code == 302
    assert ConsoleSession.objects.get(user=users["operator"]).digest == digest_of(key_of(here))
    assert admin.post(f"/users/{users['operator'].pk}/reset-password/").status_code == 200
    assert not ConsoleSession.objects.filter(user=users["operator"]).exists()
    browser_of(users["auditor"])
    assert admin.post(f"/users/{users['auditor'].pk}/deactivate/").status_code == 302
    assert not ConsoleSession.objects.filter(user=users["auditor"]).exists()


def test_sessions_that_ended_by_themselves_are_not_listed_and_removed_with_the_next_sign_in(users):
    browser_of(users["operator"])
    with time_machine.travel(now() + timedelta(minutes=31)):
        admin = browser_of(users["admin"])
        assert HOME in body(admin.get("/sessions/"))
        assert [row.user for row in ConsoleSession.objects.all()] == [users["admin"]]


def test_the_address_of_the_last_use_is_shown(users):
    here = browser_of(users["operator"])
    with time_machine.travel(now() + timedelta(minutes=5)):
        here.get("/shortcuts/", REMOTE_ADDR=OFFICE)
        assert ConsoleSession.objects.get(user=users["operator"]).address == OFFICE


# --- How long it lasts -------------------------------------------------------------------------
def test_asking_how_long_a_session_lasts_is_no_use_of_it_and_staying_is(users):
    here = browser_of(users["operator"])
    with time_machine.travel(now() + timedelta(minutes=29), tick=False):
        left = here.get("/profile/sessions/time-left/", HTTP_X_KMES_POLL="1").json()
        assert 0 < left["unused"] <= 60
        assert left["whole"] > 7 * 3600
        assert here.post("/profile/sessions/time-left/").json()["unused"] == 30 * 60
    with time_machine.travel(now() + timedelta(minutes=58), tick=False):
        assert answers(here) == 200


def test_a_page_says_how_long_its_session_lasts(users):
    here = browser_of(users["operator"])
    found = re.search(r'data-rest="(\d+)"', body(here.get("/")))
    assert found
    assert 1700 < int(found[1]) <= 1800


# --- Devices -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (FIREFOX, "Firefox, Windows"),
        (CHROME, "Chrome, Linux"),
        (CHROME + " Edg/140.0", "Edge, Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1", "Safari, iPhone"),
        ("curl/8.5.0", "curl"),
        ("", ""),
        ("x" * 500, "x" * 48),
    ],
)
def test_a_device_is_named_as_people_know_it(agent, device):
    assert devices.of_request(RequestFactory().get("/", HTTP_USER_AGENT=agent)) == device


def test_a_sign_in_from_a_new_device_is_noticed_by_its_user_alone_and_once(users):
    browser_of(users["operator"])
    assert not Notice.objects.exists()
    for _time in range(2):
        browser_of(users["operator"], CHROME, OFFICE)
    notice = Notice.objects.get()
    assert (notice.user_id, notice.url) == (users["operator"].pk, "/profile/sessions/")
    assert notice.message == f"the-operator signed in from a new device: Chrome, Linux, {OFFICE}"


def test_a_device_that_was_not_used_for_long_is_new_again(users):
    browser_of(users["operator"])
    KnownDevice.objects.update(seen_at=now() - devices.KNOWN_FOR - timedelta(days=1))
    browser_of(users["operator"], CHROME)
    browser_of(users["operator"])
    assert Notice.objects.count() == 1
