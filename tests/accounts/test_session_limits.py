"""A session ends some time after its last use, and some time after its beginning; nothing else keeps it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.conf import settings

from kmes.accounts.models import ConsoleSession
from kmes.accounts.session_store import digest_of
from kmes.core.clock import now

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
OTHER_PASSWORD = "a staple for nobody but me"
IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=8)
A_LITTLE = timedelta(minutes=1)


@pytest.fixture
def browser(client, django_user_model):
    django_user_model.objects.create_user("ada", password=PASSWORD, role="admin")
    client.post("/login/", {"username": "ada", "password": PASSWORD})
    return client


def answers_in(client, time_from_now, **headers):
    with time_machine.travel(now() + time_from_now, tick=False):
        return client.get("/shortcuts/", **headers).status_code


def test_an_unused_session_ends_and_its_row_is_gone(browser):
    assert answers_in(browser, IDLE - A_LITTLE) == 200
    assert answers_in(browser, 2 * IDLE) == 302
    assert not ConsoleSession.objects.exists()


def test_use_keeps_a_session_but_not_for_ever(browser):
    steps = range(20, int(LONGEST.total_seconds()) // 60, 20)
    assert {answers_in(browser, timedelta(minutes=each)) for each in steps} == {200}
    assert answers_in(browser, LONGEST + A_LITTLE) == 302


def test_polls_of_an_open_page_are_no_use(browser):
    poll = {"HTTP_HX_REQUEST": "true", "HTTP_X_KMES_POLL": "1"}
    assert answers_in(browser, IDLE - A_LITTLE, **poll) == 200
    assert answers_in(browser, IDLE + A_LITTLE, **poll) == 401


def test_a_new_password_does_not_lengthen_the_whole(browser):
    fields = {"old_password": PASSWORD, "new_password1": OTHER_PASSWORD, "new_password2": OTHER_PASSWORD}
    for minutes in range(20, 460, 20):
        assert answers_in(browser, timedelta(minutes=minutes)) == 200
    with time_machine.travel(now() + timedelta(minutes=460), tick=False):
        assert browser.post("/profile/password/", fields).status_code == 302
    assert answers_in(browser, timedelta(minutes=479)) == 200
    assert answers_in(browser, LONGEST + A_LITTLE) == 302


def test_a_clock_set_back_and_forth_ends_no_session(browser):
    assert answers_in(browser, -3 * IDLE) == 200
    assert answers_in(browser, A_LITTLE) == 200


def test_signing_in_gives_a_new_session(client, django_user_model):
    django_user_model.objects.create_user("ada", password=PASSWORD, role="admin")
    client.get("/login/")
    known = client.session
    known["planted"] = True
    known.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = known.session_key
    client.post("/login/", {"username": "ada", "password": PASSWORD})
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != known.session_key
    assert not ConsoleSession.objects.filter(digest=digest_of(known.session_key)).exists()
