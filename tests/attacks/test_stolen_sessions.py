"""Somebody who has a session's cookie, or plants one: it opens nothing once it is ended, and no sign-in makes it worth more."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client

from kmes.accounts.models import ConsoleSession
from kmes.accounts.session_store import SessionStore, digest_of, name_of
from tests.people import body, make_people

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
COOKIE = settings.SESSION_COOKIE_NAME


@pytest.fixture
def users(db):
    return make_people(password=PASSWORD)


def sign_in(client, user):
    assert client.post("/login/", {"username": user.username, "password": PASSWORD}).status_code == 302
    return client


def with_cookie(value):
    client = Client()
    client.cookies[COOKIE] = value
    return client


def test_a_stolen_cookie_opens_nothing_after_its_session_was_ended(users):
    victim = sign_in(Client(), users["admin"])
    stolen = victim.cookies[COOKIE].value
    assert with_cookie(stolen).get("/users/").status_code == 200
    other = sign_in(Client(), users["admin"])
    assert other.post(f"/sessions/{name_of(stolen)}/end/").status_code == 302
    thief = with_cookie(stolen)
    assert thief.get("/users/").status_code == 302
    assert thief.post("/users/add/", {"username": "mine", "role": "admin"}).status_code == 302
    assert not ConsoleSession.objects.filter(digest=digest_of(stolen)).exists()


def test_a_request_under_way_when_its_session_is_ended_does_not_bring_it_back(users):
    victim = sign_in(Client(), users["admin"])
    stolen = victim.cookies[COOKIE].value
    session = SessionStore(stolen)
    session["read"] = True
    ConsoleSession.objects.filter(digest=digest_of(stolen)).delete()
    with pytest.raises(UpdateError):
        session.save()
    assert not ConsoleSession.objects.filter(digest=digest_of(stolen)).exists()


def test_a_planted_cookie_is_exchanged_at_sign_in_and_stays_worthless(users):
    planted = sign_in(Client(), users["auditor"]).cookies[COOKIE].value
    victim = with_cookie(planted)
    victim.post("/logout/")
    sign_in(victim, users["admin"])
    assert victim.cookies[COOKIE].value != planted
    assert with_cookie(planted).get("/users/").status_code == 302


def test_nobody_sees_or_ends_the_session_of_another_user(users):
    admin, operator = sign_in(Client(), users["admin"]), sign_in(Client(), users["operator"])
    name = name_of(admin.cookies[COOKIE].value)
    assert operator.get("/sessions/").status_code == 403
    for method in (operator.get, operator.post):
        assert method(f"/sessions/{name}/end/").status_code == 404
    assert admin.get("/users/").status_code == 200


def test_the_name_that_pages_and_log_rows_show_is_no_cookie(users):
    victim = sign_in(Client(), users["admin"])
    assert with_cookie(name_of(victim.cookies[COOKIE].value)).get("/users/").status_code == 302


def test_what_a_copy_of_the_database_holds_of_a_session_signs_nobody_in(users):
    victim = sign_in(Client(), users["admin"])
    key = victim.cookies[COOKIE].value
    [row] = ConsoleSession.objects.filter(user=users["admin"]).values()
    assert key not in str(row)
    for value in map(str, row.values()):
        assert with_cookie(value).get("/users/").status_code == 302
    assert victim.get("/users/").status_code == 200


def test_the_content_of_a_session_is_none_in_another_row(users):
    sign_in(Client(), users["admin"])
    thief = sign_in(Client(), users["auditor"])
    stolen = ConsoleSession.objects.get(user=users["admin"]).session_data
    # What somebody does who writes to the database and wants to be noticed by nobody.
    own = ConsoleSession.objects.filter(user=users["auditor"])
    assert own.update(session_data=stolen, user=users["admin"]) == 1
    assert thief.get("/users/").status_code == 302


def test_no_way_of_django_into_a_session_stores_its_key(users):
    session = SessionStore()
    async_to_sync(session.aset)("read", True)
    async_to_sync(session.asave)()
    key = str(session.session_key)
    row = ConsoleSession.objects.get()
    assert (row.digest, row.get_decoded()) == (digest_of(key), {"read": True})
    assert async_to_sync(SessionStore(key).aget)("read") is True
    assert async_to_sync(session.aexists)(key)
    async_to_sync(SessionStore(key).adelete)()
    assert not ConsoleSession.objects.exists()


def test_a_poll_of_the_time_left_keeps_no_stolen_session_alive(users):
    victim = sign_in(Client(), users["admin"])
    before = ConsoleSession.objects.get(user=users["admin"]).used_at
    assert victim.get("/profile/sessions/time-left/", HTTP_X_KMES_POLL="1").status_code == 200
    assert ConsoleSession.objects.get(user=users["admin"]).used_at == before
    assert "unused" in body(victim.get("/profile/sessions/time-left/", HTTP_X_KMES_POLL="1"))
