"""Named views of tables: kept with filter, sorting and columns; one's own, or for everybody."""

from __future__ import annotations

import pytest

from kmes.ui.models import SavedView
from tests.ui.rows import body, make_job
from tests.ui.test_tables import choose, headings

VIEWS = "/preferences/tables/jobs/views/"


@pytest.fixture
def jobs(pages, group):
    return [make_job(group, subject="a-key"), make_job(group, subject="another", state="failed")]


def save(pages, name="failures", back="/jobs/?show=failed&sort=subject&page=3&seen=x", **values):
    return pages.post(VIEWS, {"name": name, "back": back, "do": "save"} | values)


def test_a_view_keeps_filter_sorting_and_columns_but_not_the_page(pages, jobs):
    choose(pages)
    answer = save(pages)
    view = SavedView.objects.get()
    assert answer["Location"] == f"/jobs/?show=failed&sort=subject&view={view.pk}"
    choose(pages, do="reset")
    page = body(pages.get(answer["Location"]))
    assert headings(page) == ["Select", "ID", "Status", "Subject", "Actions"]
    assert "another" in page
    assert "a-key" not in page
    assert "View “failures”" in page
    assert "Name" in headings(body(pages.get("/jobs/")))


def test_the_rows_that_renew_themselves_keep_the_view(pages, jobs):
    choose(pages)
    address = save(pages)["Location"]
    assert f"view={SavedView.objects.get().pk}" in body(pages.get(address)).partition('data-follows="jobs"')[0]


@pytest.mark.parametrize(("shared", "seen"), [({}, False), ({"is_shared": "on"}, True)])
def test_others_use_what_is_shared_and_know_nothing_of_the_rest(shared, seen, pages, jobs, people, client):
    choose(pages)
    address = save(pages, **shared)["Location"]
    client.force_login(people["auditor"])
    assert ("failures" in body(client.get(VIEWS))) is seen
    assert (headings(body(client.get(address))) == ["ID", "Status", "Subject", "Actions"]) is seen


def test_only_the_owner_deletes_a_view(pages, jobs, people, client):
    save(pages, is_shared="on")
    view = SavedView.objects.get()
    client.force_login(people["custodian"])
    client.post(VIEWS, {"do": f"delete:{view.pk}", "back": "/jobs/"})
    assert SavedView.objects.exists()
    assert f"delete:{view.pk}" not in body(client.get(VIEWS))
    client.force_login(people["admin"])
    assert client.post(VIEWS, {"do": f"delete:{view.pk}", "back": "/jobs/"})["Location"] == "/jobs/"
    assert not SavedView.objects.exists()


def test_the_same_name_again_replaces_the_view(pages, jobs):
    save(pages)
    save(pages, name="Failures", back="/jobs/?show=mine")
    assert [view.address for view in SavedView.objects.all()] == ["/jobs/?show=mine"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 65])
def test_a_view_needs_a_name(name, pages, jobs):
    assert save(pages, name=name).status_code == 422
    assert not SavedView.objects.exists()


def test_a_view_leads_to_no_other_host(pages, jobs):
    save(pages, back="https://evil.example/jobs/")
    assert SavedView.objects.get().address == "/"


@pytest.mark.parametrize("view", ["0", "x", "-1", "9" * 30])
def test_a_view_that_is_not_there_shows_the_users_own_table(view, pages, jobs):
    assert pages.get(f"/jobs/?view={view}").status_code == 200


def test_there_are_no_views_of_a_table_that_does_not_exist(pages):
    assert pages.get("/preferences/tables/nonsense/views/").status_code == 404
