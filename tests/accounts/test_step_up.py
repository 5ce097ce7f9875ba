"""Before what is dangerous the second factor is asked for again, unless it was proven a few minutes ago."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from kmes.accounts.models import User
from kmes.accounts.second_factor import services, totp
from kmes.accounts.second_factor.sign_in import PROVEN_AT
from kmes.core.actor import Actor
from kmes.core.clock import now
from tests.people import FRAGMENT, body

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
SEED = b"12345678901234567890"
CONFIRM = "/profile/second-factor/confirm/"
LONG = timedelta(minutes=6)
USER = {"username": "eve", "first_name": "Eve", "role": "auditor"}


@pytest.fixture
def clock(db):
    with time_machine.travel(now().replace(second=10, microsecond=0), tick=False) as traveller:
        yield traveller


@pytest.fixture
def ada(clock, django_user_model):
    """An administrator whose app was set up a while ago."""
    user = django_user_model.objects.create_user("ada", password=PASSWORD, role="admin")
    services.add_app(user=user, seed=SEED, code=code(), session_key="", actor=Actor.from_user(user))
    clock.shift(LONG)
    return user


@pytest.fixture
def browser(ada):
    """A browser in which she signed in just now."""
    client = Client()
    client.post("/login/", {"username": "ada", "password": PASSWORD})
    assert client.post("/login/second-factor/", {"code": code()}).url == "/"
    return client


def code():
    return totp.code_at(SEED, totp.step_of(now()))


DANGEROUS = (
    *("/users/add/", "/users/1/edit/", "/users/1/deactivate/", "/users/1/reset-second-factor/"),
    *("/jobs/remove/", "/jobs/start/destroy/", "/jobs/start/cloud_purge/", "/jobs/start/cloud_delete/"),
    "/jobs/start-many/cloud_delete/",
    "/jobs/start/set_enabled/",
    *("/cloud-credentials/add/", "/logs/exports/start/", "/forwarding/add/"),
)


@pytest.mark.parametrize("path", DANGEROUS)
def test_a_dangerous_page_asks_for_the_factor_after_five_minutes_and_not_before(browser, clock, path):
    assert not browser.get(path).get("Location", "").startswith(CONFIRM)
    clock.shift(LONG)
    assert browser.get(path).url == f"{CONFIRM}?next={path}"
    assert browser.post(path).url.startswith(CONFIRM)
    assert browser.get(path, **FRAGMENT)["HX-Redirect"].startswith(CONFIRM)


def test_other_pages_do_not_ask(browser, clock):
    clock.shift(LONG)
    for path in ("/", "/users/", "/jobs/", "/jobs/start/synchronize/", "/logs/", "/profile/password/"):
        assert not browser.get(path).get("Location", "").startswith(CONFIRM), path


def test_a_code_leads_back_and_opens_the_pages_for_five_minutes(browser, clock):
    clock.shift(LONG)
    page = browser.get("/users/add/").url
    assert browser.post(page, {"code": "000000"}).status_code == 422
    assert browser.get("/users/add/").status_code == 302
    assert browser.post(page, {"code": code()}).url == "/users/add/"
    assert browser.get("/users/add/").status_code == 200
    clock.shift(LONG)
    assert browser.get("/users/add/").status_code == 302


def test_a_form_that_was_sent_too_late_is_not_carried_out_and_filled_in_again(browser, clock):
    browser.get("/users/add/")
    clock.shift(LONG)
    page = browser.post("/users/add/", USER, HTTP_REFERER="http://testserver/users/add/").url
    assert not User.objects.filter(username="eve").exists()
    back = browser.post(page, {"code": code()}, follow=True)
    assert "Nothing was carried out yet" in body(back)
    assert '"eve"' in html.unescape(body(back))
    assert browser.post("/users/add/", USER).status_code == 200
    assert User.objects.filter(username="eve").exists()


def test_a_code_that_was_used_to_sign_in_confirms_nothing(browser, settings, clock):
    settings.KMES_STEP_UP_MINUTES = 1
    used = code()
    clock.shift(timedelta(seconds=61))
    assert browser.post(f"{CONFIRM}?next=/users/add/", {"code": used}).status_code == 422


def test_an_export_that_asks_leads_back_to_the_log(browser, clock):
    clock.shift(LONG)
    assert browser.get("/logs/export.csv?service=audit").url == f"{CONFIRM}?next=/logs/%3Fservice%3Daudit"


def test_the_page_leads_to_no_other_host(browser, clock):
    clock.shift(LONG)
    assert browser.post(f"{CONFIRM}?next=https://evil.example/", {"code": code()}).url == "/"


def test_a_session_that_knows_of_no_proof_is_asked_too(browser):
    session = browser.session
    del session[PROVEN_AT]
    session.save()
    assert browser.get("/users/add/").url.startswith(CONFIRM)


def test_without_a_factor_nothing_is_asked(clock, django_user_model):
    django_user_model.objects.create_user("bob", password=PASSWORD, role="admin")
    client = Client()
    client.post("/login/", {"username": "bob", "password": PASSWORD})
    clock.shift(LONG)
    assert client.get("/users/add/").status_code == 200
    assert client.get(CONFIRM).url == "/"


def test_an_installation_turns_it_off(browser, settings, clock):
    settings.KMES_STEP_UP_MINUTES = 0
    clock.shift(LONG)
    assert browser.get("/users/add/").status_code == 200


def test_a_clock_that_was_set_back_makes_no_proof_fresh(browser, clock):
    clock.shift(-timedelta(minutes=10))
    assert browser.get("/users/add/").status_code == 302
