"""The one question of an open page: what it is told, who is told what, and that asking is no use of a session."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine

from kmes.core import changes
from kmes.core.changes import KEY_PREFIX, TOPICS
from kmes.core.clock import now
from kmes.core.holds import ENVIRONMENT_KEY
from kmes.core.redis_connection import connect
from kmes.ui import change_signal
from tests.people import body

pytestmark = pytest.mark.django_db
POLL = {"HTTP_X_KMES_POLL": "1"}


@pytest.fixture
def marks(redis_server):
    """Redis with no mark yet."""
    changes._reader._paused_until = 0
    with connect(seconds=5) as client:
        client.delete(*(f"{KEY_PREFIX}{topic}" for topic in TOPICS))
        yield client
        client.delete(*(f"{KEY_PREFIX}{topic}" for topic in TOPICS))


class Offer:
    """A server that holds each request that asks for it."""

    is_over = False

    def __init__(self):
        self.asked = []

    def ask(self, source, word, *, owner):
        self.asked.append((source, word, owner))
        return True


def seen_by(page) -> str:
    return re.search(r'data-changes-seen="([^"]*)"', body(page))[1]


def open_page(pages) -> str:
    return seen_by(pages.get("/jobs/", HTTP_ACCEPT="text/html"))


def test_a_page_hears_of_what_changed_since_it_was_read(pages, marks):
    seen = open_page(pages)
    assert pages.get(f"/changes/?seen={seen}", **POLL).json()["changed"] == []
    marks.set(f"{KEY_PREFIX}keys", "another")
    answer = pages.get(f"/changes/?seen={seen}", **POLL).json()
    assert answer["changed"] == ["keys"]
    assert pages.get(f"/changes/?seen={answer['seen']}", **POLL).json()["changed"] == []


def test_a_page_that_has_seen_nothing_is_to_look_at_all(pages, marks):
    assert pages.get("/changes/", **POLL).json()["changed"] == list(TOPICS)


def test_the_question_is_held_while_nothing_changes_and_answered_when_something_did(pages, people, marks):
    offer, seen = Offer(), open_page(pages)
    assert pages.get(f"/changes/?seen={seen}&hold=1", **POLL, **{ENVIRONMENT_KEY: offer}).status_code == 204
    ((source, word, owner),) = offer.asked
    assert (source.read(), word, owner) == (seen, seen, str(people["admin"].pk))
    marks.set(f"{KEY_PREFIX}jobs", "another")
    assert source.read() != word
    answer = pages.get(f"/changes/?seen={seen}&hold=1", **POLL, **{ENVIRONMENT_KEY: offer}).json()
    assert (answer["changed"], answer["again"]) == (["jobs"], 0)
    assert len(offer.asked) == 1


def test_a_server_with_too_much_to_hold_is_asked_again_later(pages, marks):
    offer = Offer()
    offer.ask = lambda *_arguments, **_named: False
    seen = open_page(pages)
    answer = pages.get(f"/changes/?seen={seen}&hold=1", **POLL, **{ENVIRONMENT_KEY: offer}).json()
    assert answer["again"] == change_signal.CROWDED_SECONDS
    offer.is_over = True
    assert pages.get(f"/changes/?seen={seen}&hold=1", **POLL, **{ENVIRONMENT_KEY: offer}).json()["again"] == 0


def test_a_role_that_may_not_read_the_log_hears_nothing_of_it(client, people, marks, monkeypatch):
    monkeypatch.setattr(type(people["operator"]), "has_right", lambda _user, right: right == "console.read")
    client.force_login(people["operator"])
    seen = client.get("/changes/", **POLL).json()
    assert seen["changed"] == ["jobs", "keys", "notices"]
    marks.mset({f"{KEY_PREFIX}log": "x", f"{KEY_PREFIX}reports": "x"})
    assert client.get(f"/changes/?seen={seen['seen']}", **POLL).json() == seen | {"changed": []}


def test_without_redis_pages_open_and_are_to_look_at_all_now_and_then(pages, settings):
    settings.KMES_REDIS_URL = "redis://127.0.0.1:1/0"
    changes._reader._paused_until = 0
    assert open_page(pages) == ""
    answer = pages.get("/changes/?hold=1", **POLL, **{ENVIRONMENT_KEY: Offer()}).json()
    assert answer == {"seen": "", "changed": list(TOPICS), "again": change_signal.CROWDED_SECONDS}
    changes._reader._paused_until = 0


def test_asking_is_no_use_of_a_session(client, django_user_model, marks):
    django_user_model.objects.create_user("ada", password="correct horse battery staple", role="admin")
    client.post("/login/", {"username": "ada", "password": "correct horse battery staple"})
    for minutes, status in ((25, 200), (29, 200), (31, 401)):
        with time_machine.travel(now() + timedelta(minutes=minutes), tick=False):
            assert client.get("/changes/?hold=1", **POLL).status_code == status


def test_a_question_costs_the_session_and_its_user_and_no_other_query(pages, marks, django_assert_max_num_queries):
    seen = open_page(pages)
    with django_assert_max_num_queries(2):
        pages.get(f"/changes/?seen={seen}", **POLL)


def test_every_part_that_follows_a_topic_names_one_that_exists_and_has_an_id():
    from tests.rules.repository import ROOT

    followers = 0
    for path in (ROOT / "templates").rglob("*.html"):
        for tag in re.findall(r"<[^>]*data-follows=[^>]*>", re.sub(r"{%.*?%}", "", path.read_text())):
            followers += 1
            assert set(re.search(r'data-follows="([^"]*)"', tag)[1].split()) <= set(TOPICS), path
            assert " id=" in tag, path
            assert 'hx-trigger="' in tag, path
            assert "refresh" in tag, path
    assert followers > 10
