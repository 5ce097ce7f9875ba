"""What users choose for their own pages: kept per user, used on every page, never trusted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.template import Context, Template
from django.test import RequestFactory

from kmes.ui.models import Preference
from kmes.ui.preferences import DISPLAY, Display, choices_of, rendering_for
from tests.ui.rows import body

CHOSEN = {"colours": "dark", "density": "compact", "time_zone": "Asia/Tokyo", "shortcuts": ""}


def kept(user, name=DISPLAY):
    return Preference.objects.get(user=user, name=name).value


def test_what_is_chosen_is_kept_and_used_on_every_page(pages, people):
    answer = pages.post("/preferences/", CHOSEN)
    assert (answer.status_code, answer["Location"]) == (302, "/preferences/")
    assert kept(people["admin"]) == {
        "colours": "dark",
        "density": "compact",
        "time_zone": "Asia/Tokyo",
        "shortcuts": False,
    }
    page = body(pages.get("/jobs/"))
    assert 'data-bs-theme="dark"' in page
    assert 'data-density="compact"' in page
    assert "data-shortcuts" not in page


def test_another_user_keeps_their_own(pages, people, client):
    pages.post("/preferences/", CHOSEN)
    client.force_login(people["operator"])
    page = body(client.get("/jobs/"))
    assert "data-bs-theme" not in page
    assert 'data-shortcuts="/shortcuts/"' in page


@pytest.mark.parametrize("wrong", [{"time_zone": "Mars/Olympus"}, {"colours": "pink"}, {"density": ""}])
def test_nonsense_is_refused_at_its_field_and_not_kept(wrong, pages):
    answer = pages.post("/preferences/", CHOSEN | wrong)
    assert answer.status_code == 422
    assert "field-error" in body(answer)
    assert not Preference.objects.exists()


@pytest.mark.parametrize(
    "value",
    [{}, [], "text", {"colours": 7, "density": [], "time_zone": {}, "shortcuts": "maybe"}, {"time_zone": "gone"}],
)
def test_what_an_older_release_left_never_breaks_a_page(value, pages, people):
    for name in (DISPLAY, "tree", "table.jobs"):
        Preference.objects.create(user=people["admin"], name=name, value=value)
    pages.force_login(people["admin"])
    assert pages.get("/jobs/").status_code == 200


def test_the_header_changes_the_colours_and_nothing_else(pages, people):
    pages.post("/preferences/", CHOSEN)
    answer = pages.post(
        "/preferences/colours/", {"colours": "light"}, headers={"Referer": "http://testserver/jobs/?q=x"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/jobs/?q=x")
    assert kept(people["admin"]) == {**kept(people["admin"]), "colours": "light", "time_zone": "Asia/Tokyo"}


@pytest.mark.parametrize(
    "page", ["https://evil.example/", "//evil.example/", "javascript:x", "http://testserver//evil.example/"]
)
def test_no_page_of_another_host_is_led_back_to(page, pages):
    answer = pages.post("/preferences/colours/", {"colours": "light"}, headers={"Referer": page})
    assert answer["Location"] in {"/", "/evil.example/"}


def test_a_folded_section_stays_folded_but_for_the_page_one_is_on(pages):
    for section in ("keys", "logging", "nonsense"):
        assert pages.post("/preferences/tree/", {"section": section, "open": "0"}).status_code == 204
    page = body(pages.get("/jobs/"))
    assert '<details class="tree-section" data-section="keys">' in page
    assert '<details class="tree-section" data-section="logging" open>' in page
    pages.post("/preferences/tree/", {"section": "keys", "open": "1"})
    assert 'data-section="keys" open>' in body(pages.get("/jobs/"))


def test_only_the_titles_of_relative_times_are_in_the_readers_zone(people):
    request = RequestFactory().get("/")
    request.user = people["admin"]
    choices_of(request).save(DISPLAY, Display(time_zone="Asia/Tokyo").to_value())
    shown = Template("{% when at %}|{% exactly at %}")
    with rendering_for(request):
        relative, exact = shown.render(Context({"at": datetime(2026, 1, 1, 20, 30, tzinfo=UTC)})).split("|")
    assert 'title="2026-01-02 05:30:00 Asia/Tokyo (2026-01-01 20:30:00 UTC)"' in relative
    assert "2026-01-01 20:30:00<" in exact


def test_no_page_asks_for_the_choices_and_the_next_sign_in_brings_them(pages, people, django_assert_num_queries):
    pages.post("/preferences/", CHOSEN)
    pages.get("/")  # Shows the message.
    # Session and user.
    with django_assert_num_queries(2):
        pages.get("/shortcuts/")
    pages.logout()
    pages.force_login(people["admin"])
    assert 'data-density="compact"' in body(pages.get("/shortcuts/"))


@pytest.mark.parametrize(
    "path", ["/preferences/", "/preferences/colours/", "/preferences/tree/", "/preferences/tables/jobs/"]
)
def test_a_stranger_chooses_nothing(path, client, db):
    assert client.post(path)["Location"].startswith("/login/")


def test_the_list_of_shortcuts_names_no_page_the_role_can_not_see(pages):
    page = body(pages.get("/shortcuts/"))
    assert "Go to Jobs" in page
    assert "Go to Reports" not in page or 'href="/reports/' in page


def test_who_switched_shortcuts_off_is_told_so(pages):
    pages.post("/preferences/", CHOSEN)
    page = body(pages.get("/shortcuts/"))
    assert "Single-letter shortcuts are off." in page
    assert "Go to Jobs" not in page
