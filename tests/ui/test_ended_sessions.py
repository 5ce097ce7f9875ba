"""A form that is sent when the session has ended waits for its user, and for nobody else."""

from __future__ import annotations

import html
import importlib
import pkgutil
import re
from datetime import timedelta

import pytest
from django import forms
from django.apps import apps
from django.test import Client

from cloudcreds.models import CloudCredential
from kmes.accounts.models import ConsoleSession
from kmes.core.clock import now
from kmes.ui import ended_sessions

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
URL = "/cloud-credentials/add/"
TYPED = {"name": "Typed <b>name</b>", "tenant_id": "typed-tenant", "secret": "typed-secret", "secret_id": "typed-id"}


@pytest.fixture
def browser(people):
    """A browser in which the administrator had signed in, and whose session has ended."""
    client = Client(HTTP_HOST="testserver")
    sign_in(client, people["admin"])
    ConsoleSession.objects.all().delete()
    return client


def sign_in(client, user):
    user.set_password(PASSWORD)
    user.save()
    return client.post("/login/", {"username": user.username, "password": PASSWORD})


def text(answer) -> str:
    return html.unescape(answer.content.decode())


def send(client, **headers):
    return client.post(URL, TYPED, HTTP_REFERER=f"http://testserver{URL}", **headers)


def test_sign_in_says_that_the_session_has_ended_and_that_the_form_waits(browser):
    assert "Your session has ended. Sign in to continue." in text(browser.get("/login/"))
    answer = send(browser)
    assert (answer.status_code, answer.url) == (302, f"/login/?next={URL}")
    page = text(browser.get(answer.url))
    assert "What you typed is kept" in page
    assert "typed-tenant" not in page


def test_its_user_gets_the_page_back_with_what_was_typed_once_and_nothing_is_carried_out(browser, people):
    send(browser)
    sign_in(browser, people["admin"])
    page = browser.get(URL)
    assert "Nothing was carried out yet: you had to sign in again" in text(page)
    assert "typed-tenant" in text(page)
    assert "<b>name</b>" not in page.content.decode()
    assert not CloudCredential.objects.exists()
    assert "typed-tenant" not in text(browser.get(URL))


def test_secrets_are_never_kept(browser, people):
    send(browser)
    stored = [session.get_decoded() for session in ConsoleSession.objects.all()]
    assert "typed-tenant" in str(stored)
    assert "typed-secret" not in str(stored)
    sign_in(browser, people["admin"])
    page = text(browser.get(URL))
    assert "typed-id" in page
    assert "typed-secret" not in page


def test_who_else_signs_in_there_does_not_see_it_and_removes_it(browser, people):
    send(browser)
    sign_in(browser, people["operator"])
    assert "typed-tenant" not in text(browser.get(URL))
    assert "typed-tenant" not in str([session.get_decoded() for session in ConsoleSession.objects.all()])
    browser.post("/logout/")
    sign_in(browser, people["admin"])
    assert "typed-tenant" not in text(browser.get(URL))


def test_a_form_is_not_kept_for_a_browser_that_nobody_was_signed_in_at_or_that_signed_out(client, people):
    send(client)
    assert not ConsoleSession.objects.exists()
    sign_in(client, people["admin"])
    client.post("/logout/")
    assert "Your session has ended" not in text(client.get("/login/"))
    send(client)
    assert not any(ended_sessions.SESSION_KEY in each.get_decoded() for each in ConsoleSession.objects.all())


def test_a_forged_or_altered_cookie_keeps_nothing(client, people, settings):
    client.cookies[ended_sessions.COOKIE_NAME] = f"{people['admin'].pk}:forged"
    send(client)
    assert not ConsoleSession.objects.exists()


def test_a_form_without_the_token_of_a_page_is_not_kept(people):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["admin"])
    client.get("/profile/")
    ConsoleSession.objects.all().delete()
    assert send(client).status_code == 403
    assert not ConsoleSession.objects.exists()


def test_a_form_is_forgotten_after_an_hour(browser, people, monkeypatch):
    send(browser)
    later = now() + timedelta(seconds=ended_sessions.KEPT_SECONDS + 1)
    sign_in(browser, people["admin"])
    monkeypatch.setattr(ended_sessions, "now", lambda: later)
    assert "typed-tenant" not in text(browser.get(URL))


def test_a_dialogs_form_comes_back_as_a_page_and_another_page_keeps_its_address(browser):
    page = {"HTTP_HX_REQUEST": "true", "HTTP_HX_CURRENT_URL": "http://testserver/cloud-credentials/?q=1"}
    dialog = browser.post(URL, TYPED, HTTP_HX_TARGET="dialog-content", **page)
    assert dialog["HX-Redirect"] == f"/login/?next={URL}"
    other = browser.post(URL, TYPED, HTTP_HX_TARGET="results", **page)
    assert other["HX-Redirect"] == "/login/?next=/cloud-credentials/%3Fq%3D1"
    foreign = browser.post(URL, TYPED, HTTP_REFERER="https://evil.invalid/page")
    assert foreign.url == f"/login/?next={URL}"


def test_a_poll_does_not_lead_away_from_the_page(browser):
    assert browser.get("/notices/bell/", HTTP_HX_REQUEST="true", HTTP_X_KMES_POLL="1").status_code == 401


def test_the_cookie_is_signed_and_out_of_the_reach_of_scripts(client, people, settings):
    sign_in(client, people["admin"])
    cookie = client.cookies[ended_sessions.COOKIE_NAME]
    assert (cookie["httponly"], cookie["samesite"], bool(cookie["secure"])) == (
        True,
        "Lax",
        settings.SESSION_COOKIE_SECURE,
    )
    assert re.fullmatch(rf"{people['admin'].pk}:[\w-]+:[\w-]+", cookie.value)


def form_classes(root=forms.BaseForm):
    for each in root.__subclasses__():
        yield each
        yield from form_classes(each)


def test_every_field_that_hides_what_is_typed_counts_as_a_secret():
    for app in apps.get_app_configs():
        if app.name.partition(".")[0] in {"kmes", "jobs", "keygroups", "cloudcreds", "hsm", "logging_reports"}:
            for module in pkgutil.walk_packages(app.module.__path__, f"{app.name}."):
                if module.name.endswith("forms"):
                    importlib.import_module(module.name)
    hidden = {
        name
        for form in form_classes()
        for name, field in getattr(form, "base_fields", {}).items()
        if isinstance(field.widget, forms.PasswordInput)
    }
    assert {"secret", "old_password", "new_password1"} <= hidden
    assert [name for name in hidden if not ended_sessions.is_secret(name)] == []
