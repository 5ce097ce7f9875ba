"""Odd requests to all pages, by nobody and by users of each role: a few of those that ``kmes.devtools.fuzz`` sends."""

from __future__ import annotations

import itertools
import logging
from http import HTTPStatus

import pytest

from jobs.models import Job
from kmes.core.errors import KmesError
from kmes.devtools.fuzz import targets
from kmes.devtools.fuzz.addresses import all_routes
from kmes.devtools.fuzz.drawing import CSRF, NOBODY, FuzzRequest
from kmes.devtools.fuzz.odd_values import MARKUP
from kmes.devtools.fuzz.running import Fuzzer
from kmes.ui import views

pytestmark = pytest.mark.django_db
REQUESTS = 375
PAGES = 30


@pytest.fixture
def fuzzer():
    logging.disable(logging.CRITICAL)
    yield Fuzzer(targets.write_rows(), seed=1)
    logging.disable(logging.NOTSET)


def test_no_request_makes_an_error_or_changes_what_it_may_not(fuzzer):
    fuzzer.look_around(links=PAGES)
    report = fuzzer.run(range(REQUESTS))
    assert report.findings == {}
    # It is known what was asked: most pages showed, forms were sent, and some of them changed something.
    assert len(fuzzer.around.forms["POST"]) > 20
    assert {200, 302, 400, 403, 404, 405, 422} <= report.by_status.keys()


def test_each_argument_of_an_address_has_values(fuzzer):
    for route in all_routes():
        for name, _converter in route.arguments:
            assert fuzzer.around.arguments.known(name), (route.pattern, name)


def kinds_of(fuzzer: Fuzzer, request: FuzzRequest) -> list[str]:
    fuzzer.send(request, 1)
    return sorted(fuzzer.report.findings)


def break_search(monkeypatch, answer):
    monkeypatch.setattr(views, "find", answer)
    return FuzzRequest("auditor", "GET", "/search/", b"q=x")


def test_the_fuzzer_finds_an_error(fuzzer, monkeypatch):
    def fail(*_given, **_named):
        raise IndexError

    (kind,) = kinds_of(fuzzer, break_search(monkeypatch, fail))
    assert kind.startswith("IndexError at ")


def test_the_fuzzer_finds_a_refusal_with_the_status_of_an_error(fuzzer, monkeypatch):
    def fail(*_given, **_named):
        raise KmesError("Away.")

    assert kinds_of(fuzzer, break_search(monkeypatch, fail)) == ["status 503 at /search/"]


def test_the_fuzzer_finds_a_change_without_the_right(fuzzer, monkeypatch):
    def change(*_given, **_named):
        Job.objects.update(subject="changed")
        return []

    assert kinds_of(fuzzer, break_search(monkeypatch, change)) == ["jobs_job written by auditor at /search/"]
    assert not Job.objects.filter(subject="changed").exists()


def test_the_fuzzer_finds_markup_of_a_request(fuzzer, monkeypatch):
    monkeypatch.setattr(views, "render", lambda *_given, **_named: views.HttpResponse(f"<p>{MARKUP}"))
    request = FuzzRequest("auditor", "GET", "/search/")
    assert kinds_of(fuzzer, request) == ["markup of a request in a page at /search/"]


def test_the_fuzzer_finds_a_way_to_another_host(fuzzer, monkeypatch):
    away = views.HttpResponse(status=302, headers={"Location": "//evil.example/"})
    monkeypatch.setattr(views, "render", lambda *_given, **_named: away)
    request = FuzzRequest("auditor", "GET", "/search/")
    assert kinds_of(fuzzer, request) == ["a redirect to another host at /search/"]


# --- What it found ------------------------------------------------------------------------------
CHARSETS = ("hex", "rot13", "idna", "unicode_escape", "undefined", "utf-16", "a\0b")
TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b")


def test_no_encoding_that_a_request_names_is_used(fuzzer):
    for kind, charset in itertools.product(TYPES, CHARSETS):
        request = FuzzRequest(NOBODY, "POST", "/login/", b"next=%2fjobs%2f%41", f"{kind}; charset={charset}")
        request.body = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\\ud800\r\n--b--\r\n'
        assert fuzzer.send(request, 1).status == HTTPStatus.FORBIDDEN, (kind, charset)
    assert fuzzer.report.findings == {}


def test_a_content_type_that_no_one_can_read_is_none(fuzzer):
    for kind in ("a" * 20_000 + ";b", "a/b; c*=hex''%41", "a/b; c*=\0''%41"):
        assert fuzzer.send(FuzzRequest(NOBODY, "GET", "/login/", b"next=%41", kind), 1).status == HTTPStatus.OK
    assert fuzzer.report.findings == {}


def test_a_header_with_a_nul_character_reaches_no_table(fuzzer):
    for name in ("HTTP_USER_AGENT", "HTTP_ACCEPT", "HTTP_X_FORWARDED_FOR"):
        request = FuzzRequest(NOBODY, "POST", "/login/", b"", "application/x-www-form-urlencoded")
        request.body = f"csrfmiddlewaretoken={CSRF}&username=ada&password=wrong".encode()
        request.headers[name] = "a\0b"
        assert fuzzer.send(request, 1).status == HTTPStatus.BAD_REQUEST
    assert fuzzer.report.findings == {}


def test_a_form_that_can_not_be_read_does_not_break_the_page_of_another_error(fuzzer):
    many = b"&".join([b"a=b"] * 1100)
    forms = (
        ("multipart/form-data; boundary=b", b"x"),
        ("application/x-www-form-urlencoded", many),
        ("multipart/form-data", b""),
    )
    for (kind, body), path, host in itertools.product(forms, ("/login/", "/jobs/%00"), ("testserver", "evil.example")):
        request = FuzzRequest(NOBODY, "POST", path, b"", kind, body, {"HTTP_HOST": host})
        assert fuzzer.send(request, 1).status in {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN}, (kind, path, host)
    assert fuzzer.report.findings == {}


def test_no_page_repeats_an_endless_filter_in_each_link(fuzzer):
    answer = fuzzer.send(FuzzRequest("admin", "GET", "/logs/", b"severity=" + b"x" * 20_000), 1)
    # In the form and its chip, and not in the links of each row.
    assert answer.body.count(b"x" * 20_000) <= 5


def test_a_list_that_is_asked_for_the_ends_of_the_calendar_answers(fuzzer):
    pages, names = ("/logs/", "/jobs/", "/logs/export.csv"), ("since", "until", "jump")
    for page, name, day in itertools.product(pages, names, ("0001-01-01", "9999-12-31", "9999-12-31+23:59:59")):
        fuzzer.send(FuzzRequest("admin", "GET", page, f"{name}={day}".encode()), 1)
    assert fuzzer.report.findings == {}
