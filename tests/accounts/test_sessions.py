"""A browser's newest session stays, whatever arrives late for a former one."""

from __future__ import annotations

import pytest
from django.conf import settings

from kmes.accounts.models import ConsoleSession

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
OTHER_PASSWORD = "a staple for nobody but me"
COOKIE = settings.SESSION_COOKIE_NAME


@pytest.fixture
def browser(client, django_user_model):
    django_user_model.objects.create_user("ada", password=PASSWORD, role="admin")
    client.post("/login/", {"username": "ada", "password": PASSWORD})
    return client


def poll_with(client, cookie):
    """Ask as a page does that was opened with this session; returns the answer's cookies."""
    client.cookies[COOKIE] = cookie
    answer = client.get("/jobs/", HTTP_HX_REQUEST="true", HTTP_X_KMES_POLL="1")
    assert answer.status_code == 401
    return answer.cookies


def test_a_poll_sent_before_a_new_password_and_answered_after_it_leaves_the_new_session(browser):
    former = browser.cookies[COOKIE].value
    fields = {"old_password": PASSWORD, "new_password1": OTHER_PASSWORD, "new_password2": OTHER_PASSWORD}
    assert browser.post("/profile/password/", fields).status_code == 302
    newest = browser.cookies[COOKIE].value
    assert newest != former
    assert COOKIE not in poll_with(browser, former)
    browser.cookies[COOKIE] = newest
    assert browser.get("/jobs/").status_code == 200


def test_a_poll_that_meets_the_new_password_but_not_yet_the_new_session_leaves_the_cookie(browser, django_user_model):
    user = django_user_model.objects.get(username="ada")
    user.set_password(OTHER_PASSWORD)
    user.save()
    assert COOKIE not in poll_with(browser, browser.cookies[COOKIE].value)


def test_signing_out_removes_the_cookie_and_the_session(browser):
    answer = browser.post("/logout/")
    assert answer.cookies[COOKIE].value == ""
    assert not ConsoleSession.objects.exists()
