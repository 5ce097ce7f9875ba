"""Every page by its address: a stranger and a user without rights reach none, and no other method is answered."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

pytestmark = pytest.mark.django_db
# An argument of each kind; whether such a thing exists must not matter.
ARGUMENTS = {"int": "1", "slug": "x", "str": "x", "uuid": "00000000-0000-4000-8000-000000000000"}
PUBLIC = {
    *("/healthz", "/readyz", "/login/", "/login/second-factor/", "/logout/"),
    *("/login/passkey/", "/login/passkey/options/", "/login/second-factor/options/"),
    *("/login/company/", "/login/company/answer/", "/login/company/logout/", "/login/company/signed-out/"),
}
# Messages of the identity provider, proven by its signature (tests/attacks/test_company_sign_on.py).
SIGNED = {"/login/company/logout/"}
# For this machine, or with a token.
HIDDEN = {"/metrics"}
OTHER_METHODS = ("TRACE", "PUT", "DELETE")


def addresses(patterns=None, prefix=""):
    for each in patterns if patterns is not None else get_resolver().url_patterns:
        route = f"{prefix}{each.pattern}"
        if isinstance(each, URLResolver):
            yield from addresses(each.url_patterns, route)
        elif isinstance(each, URLPattern):
            yield "/" + re.sub(r"<(?:(\w+):)?\w+>", lambda found: ARGUMENTS[found[1] or "str"], route)


PAGES = sorted(set(addresses()))
GUARDED = [page for page in PAGES if page not in PUBLIC | HIDDEN]


def test_all_pages_are_found():
    assert len(GUARDED) > 100
    assert {"/", "/jobs/", "/users/1/edit/", "/logs/"} <= set(GUARDED)
    assert set(PAGES) >= PUBLIC | HIDDEN


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_stranger_is_led_to_the_sign_in_page_from_every_page(client, method):
    answers = {page: client.generic(method, page) for page in GUARDED}
    reached = {
        page: answer.status_code
        for page, answer in answers.items()
        if not (answer.status_code == 302 and answer.url.startswith("/login/")) and answer.status_code != 405
    }
    assert reached == {}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_user_without_any_right_reaches_no_page(client, django_user_model, method):
    client.force_login(django_user_model.objects.create_user("nobody", role="no such role"))
    answers = {page: client.generic(method, page).status_code for page in GUARDED}
    assert {page: status for page, status in answers.items() if status not in {403, 405}} == {}
    assert list(answers.values()).count(403) > 40


def answered_otherwise(client, pages):
    answers = {
        f"{method} {page}": client.generic(method, page).status_code for page in pages for method in OTHER_METHODS
    }
    return {request: status for request, status in answers.items() if status != 405}


def test_no_page_answers_another_method(client, django_user_model):
    assert answered_otherwise(client, PAGES) == {}
    client.force_login(django_user_model.objects.create_user("ada", role="admin"))
    assert answered_otherwise(client, PUBLIC) == {}


def test_no_form_is_taken_without_its_token(django_user_model):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(django_user_model.objects.create_user("ada", role="admin"))
    answers = {page: strict.post(page).status_code for page in PAGES if page not in SIGNED}
    assert {page: status for page, status in answers.items() if status != 403} == {}


def test_every_answer_says_what_a_browser_may_do_with_it(client, django_user_model, settings):
    settings.SECURE_SSL_REDIRECT = False
    client.force_login(django_user_model.objects.create_user("ada", role="admin"))
    for page in ("/", "/healthz", "/no-such-page/", "/login/", "/static/kmes/icons.svg", "/jobs/\0/"):
        answer = client.get(page, secure=True)
        # Not close(), which ends the test's connection to the database as well.
        for release in answer._resource_closers:
            release()
        headers = answer.headers
        policy = headers["Content-Security-Policy"]
        for directive in ("default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
            assert directive in policy, page
        assert headers["X-Content-Type-Options"] == "nosniff", page
        assert headers["Referrer-Policy"] == "same-origin", page
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", page


def test_no_page_of_a_signed_in_user_is_stored_by_a_cache(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("ada", role="admin"))
    for page in ("/", "/users/", "/logs/", "/profile/", "/no-such-page/"):
        assert "no-store" in client.get(page).headers["Cache-Control"], page
