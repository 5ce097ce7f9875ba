"""Tables: the user's own columns, their order, page size and sorting, for every table alike."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from kmes.ui.layouts import PAGE_SIZE, PAGE_SIZES, Layout
from kmes.ui.models import Preference
from tests.ui.rows import body, fill_other_lists, make_job, make_key

LAYOUT = "/preferences/tables/jobs/"
COLUMNS = ["name", "state", "made", "size"]


def headings(page: str) -> list[str]:
    """The headings of the page's table, without markup."""
    head = re.search(r"<thead>.*?</thead>", page[page.index("table-frame") :], re.DOTALL)
    return [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<th.*?</th>", head.group(), re.DOTALL)]


@pytest.fixture
def jobs(pages, group):
    """Some jobs, so that the list shows its table."""
    return [make_job(group, subject=f"key-{number:02}") for number in range(30)]


def choose(pages, **values):
    defaults = {
        "order": ["code", "state", "subject"],
        "shown": ["code", "state", "subject"],
        "page_size": "25",
        "do": "save",
    }
    return pages.post(LAYOUT, defaults | values)


def test_only_the_chosen_columns_show_in_the_chosen_order(pages, jobs):
    assert headings(body(pages.get("/jobs/")))[:4] == ["Select", "ID", "Name", "Subject"]
    choose(pages)
    assert headings(body(pages.get("/jobs/"))) == ["Select", "ID", "Status", "Subject", "Actions"]
    choose(pages, order=["subject", "code", "state"])
    assert headings(body(pages.get("/jobs/"))) == ["Select", "Subject", "ID", "Status", "Actions"]


def test_the_page_size_is_the_users_and_an_address_may_ask_for_another(pages, jobs):
    choose(pages)
    assert body(pages.get("/jobs/")).count("<tr id=") == 25
    assert "Page 1 of 2" in body(pages.get("/jobs/"))
    assert body(pages.get("/jobs/?per_page=50")).count("<tr id=") == 30


@pytest.mark.parametrize("size", ["1", "100000", "-5", "x", ""])
def test_a_page_of_any_size_is_not_to_be_had(size, pages, jobs):
    choose(pages)
    assert body(pages.get("/jobs/", {"per_page": size})).count("<tr id=") == 25


@pytest.mark.parametrize(("page", "shown"), [("2", 5), ("99", 5), ("0", 25), ("-1", 25), ("x", 25), ("9" * 40, 25)])
def test_any_page_in_an_address_shows_one(page, shown, pages, jobs):
    choose(pages)
    assert body(pages.get("/jobs/", {"page": page})).count("<tr id=") == shown


def test_the_users_sorting_holds_until_an_address_asks_for_another(pages, jobs):
    choose(pages, sort="-subject")
    first = r'<tr id="row-.*?key-(\d+)'
    assert re.search(first, body(pages.get("/jobs/")), re.DOTALL).group(1) == "29"
    assert re.search(first, body(pages.get("/jobs/?sort=subject")), re.DOTALL).group(1) == "00"


def test_a_new_sorting_begins_at_the_first_page_and_keeps_the_filter(pages, jobs):
    choose(pages)
    page = body(pages.get("/jobs/?q=key&page=2&seen=abc"))
    links = [link.replace("&amp;", "&") for link in re.findall(r'<th[^>]*><a [^>]*href="([^"]*)"', page)]
    assert links
    for link in links:
        assert "q=key" in link
        assert "page=" not in link.replace("per_page=", "")
        assert "seen=" not in link


def test_what_names_the_row_can_not_be_hidden(pages, jobs):
    choose(pages, shown=["state"])
    assert headings(body(pages.get("/jobs/"))) == ["Select", "ID", "Status", "Actions"]


def test_reset_brings_back_the_consoles_own(pages, jobs):
    before = headings(body(pages.get("/jobs/")))
    choose(pages)
    choose(pages, do="reset")
    assert headings(body(pages.get("/jobs/"))) == before
    assert not Preference.objects.exists()


def test_without_script_a_column_moves_by_a_round_trip_that_keeps_nothing(pages, jobs):
    page = body(choose(pages, do="down:code"))
    assert re.findall(r'name="order" value="(\w+)"', page)[:3] == ["state", "code", "subject"]
    assert not Preference.objects.exists()


def test_saving_leads_back_to_the_page_with_its_filter(pages, jobs):
    page = body(pages.get(LAYOUT, headers={"Referer": "http://testserver/jobs/?show=mine"}))
    back = re.search(r'name="back" value="([^"]+)"', page).group(1)
    assert choose(pages, back=back)["Location"] == "/jobs/?show=mine"
    assert choose(pages, back="https://evil.example/")["Location"] == "/"


def test_from_the_dialog_the_whole_page_is_renewed(pages, jobs):
    answer = pages.post(LAYOUT, {"do": "save", "shown": "state", "back": "/jobs/"}, headers={"HX-Request": "true"})
    assert answer["HX-Redirect"] == "/jobs/"


def test_another_user_sees_the_consoles_own_columns(pages, jobs, people, client):
    choose(pages)
    client.force_login(people["operator"])
    assert "Name" in headings(body(client.get("/jobs/")))


def test_there_is_no_layout_of_a_table_that_does_not_exist(pages):
    assert pages.get("/preferences/tables/nonsense/").status_code == 404


def test_the_columns_of_every_table_are_offered(pages):
    pages.get("/approvals/")
    pages.get("/sessions/")
    for name in ("approvals", "sessions"):
        assert 'name="order"' in body(pages.get(f"/preferences/tables/{name}/"))


# Each list of the console: the name its table is kept under, and its page.
LISTS = {
    "keys": "/keys/",
    "credentials": "/cloud-credentials/",
    "jobs": "/jobs/",
    "users": "/users/",
    "notices": "/notices/",
    "channels": "/administration/notices/",
    "certifications": "/certifications/",
    "exports": "/logs/exports/",
    "checkpoints": "/logs/checkpoints/",
}
# The log as well; it keeps the order it was written in, and has saved filters for its views.
TABLES = {**LISTS, "logs": "/logs/?service=audit"}


@pytest.fixture
def lists(group, redis_server):
    """Some rows in each list."""
    make_key(group, "a-key")
    make_job(group)
    fill_other_lists(group, 3)
    return TABLES


def shown(page: str) -> int:
    """How many rows the page's table shows."""
    return len(re.findall(r"<tr ", page[page.index("<tbody>") :].partition("</tbody>")[0]))


@pytest.mark.parametrize("name", TABLES)
def test_every_table_offers_its_columns(name, pages, lists):
    path = lists[name]
    page = body(pages.get(path))
    assert f'href="/preferences/tables/{name}/"' in page
    assert (f'href="/preferences/tables/{name}/views/"' in page) == (name in LISTS)
    assert re.search(r"data-count>\s*\d+ \w+", page)
    form = body(pages.get(f"/preferences/tables/{name}/"))
    columns = re.findall(r'name="order" value="(\w+)"', form)
    assert len(columns) > 4
    assert {"pick", "menu"}.isdisjoint(columns)
    hidden = {"order": columns[::-1], "shown": columns[:2], "page_size": "100", "do": "save"}
    assert pages.post(f"/preferences/tables/{name}/", hidden).status_code == 302
    assert pages.get(path).status_code == 200


@pytest.mark.parametrize("name", LISTS)
def test_every_table_sorts_by_each_column_that_says_so_and_by_nonsense(name, pages, lists):
    page = body(pages.get(lists[name]))
    links = re.findall(r'<th[^>]*><a [^>]*href="([^"]*)"', page)
    assert links
    for link in links:
        sorted_page = pages.get(lists[name] + link.replace("&amp;", "&"))
        assert sorted_page.status_code == 200
        assert shown(body(sorted_page)) == shown(page)
        assert "aria-sort=" in body(sorted_page)
    assert pages.get(lists[name] + "?sort=nonsense").status_code == 200


@pytest.mark.parametrize("name", LISTS)
def test_every_table_is_shown_by_the_users_page_size_and_by_a_named_view(name, pages, lists, group):
    fill_other_lists(group, 30, name)
    for number in range(30):
        if name == "keys":
            make_key(group, f"key-{number}")
        if name == "jobs":
            make_job(group)
    columns = re.findall(r'name="order" value="(\w+)"', body(pages.get(f"/preferences/tables/{name}/")))
    choice = {"order": columns, "shown": columns, "page_size": "25", "do": "save"}
    before = headings(body(pages.get(lists[name])))
    pages.post(f"/preferences/tables/{name}/", choice)
    page = body(pages.get(lists[name]))
    assert shown(page) == 25 or name == "credentials"
    assert ("Page 1 of" in page) == (name != "credentials")
    pages.post(f"/preferences/tables/{name}/views/", {"name": "All", "do": "save", "back": lists[name]})
    address = re.search(
        rf'href="({lists[name]}\?[^"]*view=\d+)"', body(pages.get(f"/preferences/tables/{name}/views/"))
    )
    assert address
    pages.post(f"/preferences/tables/{name}/", {"order": columns, "shown": columns[-1:], "do": "save"})
    narrow = headings(body(pages.get(lists[name])))
    assert len(narrow) < len(before)
    assert len(headings(body(pages.get(address[1])))) == len(before)


def test_the_log_is_shown_by_the_users_columns_and_page_size_and_sorted_by_none(pages, lists, group):
    fill_other_lists(group, 30, "notices")
    assert "<th scope" in body(pages.get(TABLES["logs"]))
    assert not re.search(r"<th[^>]*><a ", body(pages.get(TABLES["logs"])))
    form = body(pages.get("/preferences/tables/logs/"))
    assert 'name="sort"' not in form
    pages.post(
        "/preferences/tables/logs/", {"order": ["message", "at"], "shown": ["at"], "page_size": "25", "do": "save"}
    )
    page = body(pages.get(TABLES["logs"]))
    assert headings(page) == ["Message", "Time (UTC)"]
    assert shown(page) == 25
    assert pages.get("/preferences/tables/logs/views/").status_code == 404


@pytest.mark.parametrize("name", TABLES)
def test_no_table_costs_more_queries_when_there_is_more_to_show(name, pages, lists, group):
    def cost() -> int:
        pages.get(lists[name])
        with CaptureQueriesContext(connection) as queries:
            assert pages.get(lists[name]).status_code == 200
        return len(queries)

    few = cost()
    # Notices too: each page tells how many there are.
    fill_other_lists(group, 20, name, "notices")
    assert few <= 12
    assert cost() == few


@pytest.mark.parametrize("name", LISTS.keys() - {"exports", "checkpoints"})
def test_every_list_has_a_search_that_renews_parts_which_are_there(name, pages, lists):
    for query in ("", "?q=nothing+of+the+kind"):
        page = body(pages.get(lists[name] + query))
        parts = re.search(r'data-quick-search="([^"]*)"', page)
        assert parts
        for part in parts[1].split():
            assert page.count(f'id="{part}"') == 1, part
        # What is announced stands in the first part.
        assert re.search("data-count|empty-state", page[page.index(f'id="{parts[1].split()[0]}"') :])
    assert "empty-match" in page


@pytest.mark.parametrize("path", ["/jobs/", "/reports/activity/", "/reports/rotation/"])
def test_no_filter_says_that_it_is_optional_for_all_are(path, pages, lists):
    assert 'class="optional"' not in body(pages.get(path))


@pytest.mark.parametrize("path", ["/notices/", "/jobs/"])
def test_a_list_that_renews_itself_asks_for_what_it_shows(path, pages, lists):
    query = "q=a&sort=kind&page=1&per_page=25"
    asked = re.findall(rf'hx-get="({path}\?[^"]*seen=[^"]*)"', body(pages.get(f"{path}?{query}")))
    kept = parse_qs(asked[0].partition("?")[2].replace("&amp;", "&"))
    assert {name: kept[name] for name in parse_qs(query)} == parse_qs(query)


def test_the_boxes_stay_first_and_the_menu_last(pages, group):
    make_key(group, "a-key")
    pages.post("/preferences/tables/keys/", {"order": ["expires", "name"], "shown": ["expires", "name"], "do": "save"})
    assert headings(body(pages.get("/keys/"))) == ["Select", "Expires", "Name", "Actions"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda s: st.lists(s, max_size=3)
)


@given(st.dictionaries(st.sampled_from(["order", "hidden", "page_size", "sort", "other"]), VALUES))
def test_whatever_is_kept_gives_a_table_one_can_use(kept):
    layout = Layout.read(kept, columns=COLUMNS, essential=("name",))
    assert sorted(layout.order) == sorted(COLUMNS)
    assert "name" not in layout.hidden
    assert layout.page_size in PAGE_SIZES


@given(st.permutations(COLUMNS), st.sets(st.sampled_from(COLUMNS[1:])), st.sampled_from(PAGE_SIZES))
def test_what_is_kept_is_read_back_the_same(order, hidden, size):
    layout = Layout(tuple(order), frozenset(hidden), size, "-state", is_own=True)
    assert Layout.read(layout.to_value(), columns=COLUMNS, essential=("name",)) == layout


def test_a_column_that_is_new_in_a_release_comes_at_the_end():
    layout = Layout.read({"order": ["size", "name"], "hidden": ["size", "gone"]}, columns=COLUMNS)
    assert layout.order == ("size", "name", "state", "made")
    assert layout.hidden == {"size"}


@given(st.permutations(COLUMNS), st.sampled_from([*COLUMNS, "gone"]), st.sampled_from([-1, 1]))
def test_moving_a_column_moves_it_by_one_and_keeps_all(order, name, by):
    moved = Layout(tuple(order)).moved(name, by)
    assert sorted(moved.order) == sorted(order)
    if name in order:
        place = max(0, min(len(order) - 1, order.index(name) + by))
        assert moved.order.index(name) == place
    assert moved.page_size == PAGE_SIZE
