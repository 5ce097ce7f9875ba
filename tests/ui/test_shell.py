"""The shell: safe headers, refusals as pages, one list of actions, clean templates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client

from kmes.ui import actions
from kmes.ui.actions import MenuAction, flat_menu, menu_for

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "kmes" / "static" / "kmes").glob("*.js"))


@pytest.fixture
def auditor(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("aud", role="auditor"))
    return client


@pytest.mark.django_db
def test_every_page_comes_under_a_strict_policy_and_is_not_kept(auditor):
    answer = auditor.get("/")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for part in ("script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'"):
        assert part in policy
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "HX-Request" in answer["Vary"]


@pytest.mark.django_db
def test_a_missing_right_gives_a_page_that_names_it(auditor):
    answer = auditor.get("/cloud-credentials/add/")
    assert answer.status_code == 403
    assert "Cloud Credentials:Manage" in answer.content.decode()
    assert "<html" in answer.content.decode()


@pytest.mark.django_db
def test_a_missing_right_in_a_dialog_gives_a_piece_of_page(auditor):
    answer = auditor.get("/cloud-credentials/add/", headers={"HX-Request": "true"})
    assert answer.status_code == 403
    assert "<html" not in answer.content.decode()


@pytest.mark.django_db
def test_a_stranger_in_a_fragment_is_led_to_sign_in_as_a_whole_page(client):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/jobs/?show=mine&kind=rotate"}
    answer = client.get("/jobs/drawer/", headers=headers)
    assert answer["HX-Redirect"] == "/login/?next=/jobs/%3Fshow%3Dmine%26kind%3Drotate"


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["https://evil.example//evil.example/x", "not a url", "http://[", ""])
def test_a_strange_current_address_leads_to_our_own_sign_in(page, client):
    answer = client.get("/jobs/drawer/", headers={"HX-Request": "true", "HX-Current-URL": page})
    assert answer["HX-Redirect"].startswith("/login/?next=/")
    assert "next=//" not in answer["HX-Redirect"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/nowhere/", "/jobs/NOSUCH/", "/keys/00000000-0000-4000-8000-000000000001/"])
def test_what_is_not_there_gives_the_console_its_own_page(path, auditor):
    answer = auditor.get(path)
    assert answer.status_code == 404
    assert "Go to the dashboard" in answer.content.decode()


@pytest.mark.django_db
def test_what_is_not_there_in_a_dialog_is_a_piece_of_page(auditor):
    answer = auditor.get("/jobs/NOSUCH/", headers={"HX-Request": "true"})
    assert answer.status_code == 404
    assert "<html" not in answer.content.decode()
    assert 'id="dialog-title"' in answer.content.decode()


@pytest.mark.django_db
def test_a_form_without_its_token_is_refused(django_user_model):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(django_user_model.objects.create_user("adm", role="admin"))
    answer = strict.post("/cloud-credentials/add/", {"name": "x"})
    assert answer.status_code == 403
    assert "out of date" in answer.content.decode()


class Person:
    """A user with some rights."""

    def __init__(self, *rights):
        self.rights = rights

    def has_right(self, right):
        return right in self.rights

    may_somewhere = has_right


@pytest.fixture
def menu(monkeypatch):
    monkeypatch.setattr(actions, "_registry", {})

    def add(**values):
        defaults = {"target": "key", "label": values["name"], "url": lambda _obj: f"/{values['name']}"}
        actions.register(MenuAction(**defaults | values))

    return add


def names(person):
    return [item.name for _submenu, item in flat_menu(menu_for("key", object(), person))]


def test_what_a_user_may_never_do_is_left_out(menu):
    menu(name="push", right="key.push")
    menu(name="look")
    assert names(Person()) == ["look"]
    assert set(names(Person("key.push"))) == {"push", "look"}


def test_what_can_not_be_done_now_stays_with_its_reason_and_without_an_address(menu):
    menu(name="push", disabled_reason=lambda _obj: "Another job is running")
    ((_submenu, item),) = flat_menu(menu_for("key", object(), Person()))
    assert (item.reason, item.url) == ("Another job is running", "")


def test_destructive_entries_come_last(menu):
    menu(name="delete", danger=True, order=1)
    menu(name="open", order=50)
    menu(name="sync", submenu="Cloud", order=10)
    assert names(Person())[-1] == "delete"


def test_registering_twice_leaves_one_entry(menu):
    menu(name="open", label="old")
    menu(name="open", label="new")
    assert [item.label for _submenu, item in flat_menu(menu_for("key", object(), Person()))] == ["new"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_template_holds_script_style_or_another_host(path):
    text = path.read_text()
    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"\son[a-z]+\s*=", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r"<style", text)
    assert "hx-on" not in text
    assert "js:" not in text
    assert not re.search(r"(src|href)=\"https?://", text)


def test_every_icon_that_is_used_is_drawn():
    drawn = set(re.findall(r'id="([a-z-]+)"', (ROOT / "kmes" / "static" / "kmes" / "icons.svg").read_text()))
    used = {name for path in TEMPLATES for name in re.findall(r'{% icon "([a-z-]+)" %}', path.read_text())}
    assert used <= drawn


def test_every_drawing_the_styles_name_is_there():
    folder = ROOT / "kmes" / "static" / "kmes"
    named = re.findall(r'url\("([^"]+)"\)', (folder / "app.css").read_text())
    assert named
    assert [name for name in named if not (folder / name).is_file()] == []


def test_htmx_event_names_stand_in_one_file():
    for path in SCRIPTS:
        if path.name != "htmx.js":
            assert "htmx:" not in path.read_text(), path.name


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_link_saves_whatever_comes(path):
    """A link with ``download`` stores a redirect's page as the file: a sign-in, a confirmation. The server's header does."""
    text = re.sub(r"\{[{%].*?[%}]\}", "", path.read_text())
    assert not re.findall(r"<a\s[^>]*\sdownload[\s>=]", text)
