"""Reports: the list, a report's page and file, who may see them, and the chart."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from xml.etree import ElementTree as ET

import pytest
from django.contrib.auth import get_user_model
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from kmes.core.actor import Actor, Trigger
from kmes.ui import pdf
from kmes.ui.pictures import Bar
from logging_reports.models import LogEntry
from logging_reports.reports.charts import draw_bars
from logging_reports.reports.definitions import Column
from logging_reports.reports.tables import csv_row
from logging_reports.services import Draft, record, record_many

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def user(db):
    return get_user_model().objects.create_user("audra", role="auditor")


@pytest.fixture
def auditor(client, user):
    client.force_login(user)
    return client


def person(name, number=7):
    return Actor(name, Trigger.USER, number)


def parse(response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize(
    "address", ["key-age/", "rotation/", "expiring/", "expiring/?within=30", "activity/?q=nobody", "unmanaged/"]
)
def test_each_report_is_listed_and_says_something_when_there_is_nothing(address, auditor):
    assert f"/reports/{address.partition('?')[0]}" in auditor.get("/reports/").content.decode()
    page = auditor.get(f"/reports/{address}").content.decode()
    assert "empty-state" in page
    assert "<table" not in page


@pytest.mark.parametrize("name", ["key-age", "rotation", "expiring", "activity", "unmanaged"])
def test_a_reports_search_answers_while_one_types(auditor, name):
    for query in ("", "?q=nothing+of+the+kind"):
        page = auditor.get(f"/reports/{name}/{query}").content.decode()
        form = re.search(r'<form[^>]*data-quick-search="([^"]*)"', page)
        assert form
        # The first part says what is announced; one that isn't there would be silently left out.
        parts = form[1].split()
        assert parts == ["report-found", "report-tools"]
        for part in parts:
            assert page.count(f'id="{part}"') == 1, part
        assert re.search("empty-state|data-count", page[page.index('id="report-found"') :])
        # A half typed word means something, so no field waits until it is left.
        assert "data-when-left" not in page


def test_what_a_report_counted_is_announced_and_its_file_follows_the_search(auditor):
    record_many([Draft(event="job.requested", actor=person(f"user-{n}")) for n in range(3)])
    page = auditor.get("/reports/activity/?q=user-&sort=-actions").content.decode()
    found, tools = page[page.index('id="report-found"') :], page[page.index('id="report-tools"') :]
    assert re.search(r"data-count[^>]*>3 rows", found)
    assert "/reports/activity/export.csv?q=user-&amp;sort=-actions" in tools


def test_a_report_nobody_registered_is_not_found(auditor):
    assert auditor.get("/reports/nothing/").status_code == 404


def test_a_stranger_is_led_to_sign_in(client, db):
    assert client.get("/reports/activity/")["Location"].startswith("/login/")


def test_a_role_that_may_not_export_gets_neither_the_button_nor_the_file(client, db):
    client.force_login(get_user_model().objects.create_user("ott", role="operator"))
    record("job.requested", actor=person("ann"))
    assert "export.csv" not in client.get("/reports/activity/").content.decode()
    assert client.get("/reports/activity/export.csv").status_code == 403


def test_activity_counts_each_users_rows_and_leaves_the_schedule_out(auditor):
    record_many(
        [Draft(event="job.requested", actor=person("ann"))] * 3 + [Draft(event="key.created", actor=person("bob"))]
    )
    record("job.requested", actor=Actor("schedule", Trigger.SCHEDULE))
    rows = {row["actor_name"]: row for row in parse(auditor.get("/reports/activity/export.csv"))}
    assert (rows["ann"]["actions"], rows["ann"]["jobs"], rows["ann"]["keys"]) == ("3", "3", "0")
    assert (rows["bob"]["actions"], rows["bob"]["keys"]) == ("1", "1")
    assert "schedule" not in rows
    assert "schedule" in auditor.get("/reports/activity/?who=all").content.decode()


def test_activity_sorts_and_filters_by_its_address(auditor):
    record_many(
        [Draft(event="job.requested", actor=person("ann"))] * 2 + [Draft(event="key.created", actor=person("bob"))]
    )
    sorted_up = parse(auditor.get("/reports/activity/export.csv?sort=actions&q=b"))
    assert [row["actor_name"] for row in sorted_up] == ["bob"]
    page = auditor.get("/reports/activity/?sort=actions").content.decode()
    assert page.index(">bob</a>") < page.index(">ann</a>")
    page = auditor.get("/reports/activity/?sort=-actions").content.decode()
    assert page.index(">ann</a>") < page.index(">bob</a>")


def test_a_filter_that_can_not_be_used_says_so(auditor):
    response = auditor.get("/reports/activity/?days=banana")
    assert response.status_code == 400
    assert (
        "filter can&#x27;t be used" in response.content.decode() or "filter can't be used" in response.content.decode()
    )
    assert auditor.get("/reports/activity/export.csv?days=banana").status_code == 400


def test_a_file_is_guarded_against_formulas_and_logged_with_what_left(auditor, user):
    record("job.requested", actor=person("=1+1"))
    response = auditor.get("/reports/activity/export.csv?days=7&q=1")
    assert parse(response)[0]["actor_name"] == "'=1+1"
    assert response["Cache-Control"] == "no-store"
    row = LogEntry.objects.get(event="report.exported")
    assert row.actor_name == user.username
    assert (row.data["rows"], row.data["filter"], row.data["complete"]) == (1, {"days": "7", "q": "1"}, True)
    assert len(row.data["sha256"]) == 64


def test_a_pdf_file_holds_the_rows_of_the_page_and_is_logged_with_its_digest(auditor, user):
    record_many([Draft(event="job.requested", actor=person(name)) for name in ("ann", "bob", "otto")])
    page = auditor.get("/reports/activity/?q=b").content.decode()
    assert "/reports/activity/export.pdf?q=b&amp;paper=a4" in page
    response = auditor.get("/reports/activity/export.pdf?q=b&paper=letter")
    assert response["Content-Type"] == "application/pdf"
    assert response["Content-Disposition"].endswith('.pdf"')
    assert response["Cache-Control"] == "no-store"
    sheet = PdfReader(io.BytesIO(response.content)).pages[0]
    text = sheet.extract_text()
    assert "bob" in text
    assert "ann" not in text
    assert re.search(r"Text\s+b\b", text)
    assert user.username in text
    assert round(sheet.mediabox.height) == 612
    row = LogEntry.objects.get(event="report.exported")
    assert row.actor_name == user.username
    assert row.data["sha256"] == hashlib.sha256(response.content).hexdigest()
    assert (row.data["rows"], row.data["filter"], row.data["complete"]) == (1, {"q": "b"}, True)


def test_a_pdf_file_that_holds_not_all_rows_says_so_in_itself_and_in_the_log(auditor, monkeypatch):
    monkeypatch.setattr(pdf, "MOST_ROWS", 2)
    record_many([Draft(event="job.requested", actor=person(f"user-{n}")) for n in range(3)])
    response = auditor.get("/reports/activity/export.pdf?q=user-")
    text = " ".join(PdfReader(io.BytesIO(response.content)).pages[0].extract_text().split())
    assert "Only the first 2 of 3 rows are here." in text
    row = LogEntry.objects.get(event="report.exported")
    assert (row.data["rows"], row.data["complete"], row.severity) == (2, False, "warning")


def test_a_filter_that_can_not_be_used_makes_no_pdf_file(auditor):
    assert auditor.get("/reports/activity/export.pdf?days=banana").status_code == 400
    assert not LogEntry.objects.filter(event="report.exported").exists()


def test_names_are_escaped_in_page_and_chart(auditor):
    record("job.requested", actor=person("<script>x</script>"))
    assert "<script>x" not in auditor.get("/reports/activity/").content.decode()


def test_a_page_to_print_holds_more_rows_and_the_button(auditor):
    record_many([Draft(event="job.requested", actor=person(f"user-{n:03}")) for n in range(60)])
    assert auditor.get("/reports/activity/?q=user-").content.decode().count("<tr ") == 50
    whole = auditor.get("/reports/activity/?q=user-&rows=all").content.decode()
    assert whole.count("<tr ") == 60
    assert 'class="table table-hover console-table"' in whole
    assert "data-print" in whole


@pytest.mark.parametrize("name", ["key-age", "rotation", "expiring", "activity", "unmanaged"])
def test_the_columns_of_each_report_are_the_users_to_choose(auditor, name):
    page = f"/preferences/tables/report-{name}/"
    columns = re.findall(r'name="order" value="(\w+)"', auditor.get(page).content.decode())
    assert len(columns) > 4
    chosen = {"order": columns[::-1], "shown": columns[1:], "page_size": "25", "do": "save"}
    assert auditor.post(page, chosen).status_code == 302
    again = auditor.get(page).content.decode()
    assert re.findall(r'name="order" value="(\w+)"', again) == columns[::-1]
    # What names a row can be moved, not hidden.
    assert f'<input type="hidden" name="shown" value="{columns[0]}">' in again
    assert auditor.get(f"/reports/{name}/").status_code == 200


def test_a_report_is_shown_as_the_user_arranged_it(auditor):
    record_many([Draft(event="job.requested", actor=person(f"user-{n:03}")) for n in range(60)])
    page = auditor.get("/reports/activity/?q=user-").content.decode()
    assert 'href="/preferences/tables/report-activity/"' in page
    assert 'href="/preferences/tables/report-activity/views/"' in page
    auditor.post(
        "/preferences/tables/report-activity/",
        {
            "order": ["last_at", "actor_name"],
            "shown": ["last_at", "actor_name"],
            "page_size": "25",
            "sort": "-actor_name",
            "do": "save",
        },
    )
    page = auditor.get("/reports/activity/?q=user-").content.decode()
    assert page.count("<tr ") == 25
    headings = re.findall(r'<th scope="col"[^>]*>(?:<a [^>]*>)?([^<]+)', page)
    assert headings == ["Last active", "User"]
    assert page.index(">user-059<") < page.index(">user-058<")
    # To print there is one page of all rows; the file keeps all columns, in the order of the page's rows.
    assert auditor.get("/reports/activity/?q=user-&rows=all").content.decode().count("<tr ") == 60
    rows = parse(auditor.get("/reports/activity/export.csv?q=user-"))
    assert len(rows) == 60
    assert rows[0]["actor_name"] == "user-059"
    assert "actions" in rows[0]


def test_another_report_keeps_its_own_columns(auditor):
    auditor.post(
        "/preferences/tables/report-activity/", {"order": ["actor_name"], "shown": ["actor_name"], "do": "save"}
    )
    other = auditor.get("/preferences/tables/report-rotation/").content.decode()
    assert "actor_name" not in other
    assert 'name="shown" value="owner" checked' in other


def test_activity_takes_few_queries(auditor, django_assert_max_num_queries):
    record_many([Draft(event="job.requested", actor=person(f"user-{n:03}")) for n in range(60)])
    with django_assert_max_num_queries(12):
        auditor.get("/reports/activity/")


@given(st.lists(st.tuples(st.text(max_size=30), st.integers(0, 10**9)), min_size=1, max_size=8))
def test_a_chart_is_an_image_with_its_numbers_as_text(found):
    clean = ["".join(c for c in label if c.isprintable()) for label, _count in found]
    bars = [Bar(label, count) for label, (_label, count) in zip(clean, found, strict=True)]
    chart = ET.fromstring(f'<div xmlns="http://www.w3.org/2000/svg">{draw_bars("c", "Title", bars)}</div>')  # noqa: S314 - our own text
    svg = chart.find(f"{SVG}svg")
    assert svg is not None
    assert svg.get("role") == "img"
    ids = {element.get("id") for element in svg.iter() if element.get("id")}
    assert set((svg.get("aria-labelledby") or "").split()) == ids
    numbers = [text.text for text in svg.iter(f"{SVG}text") if text.get("class") == "number"]
    assert numbers == [str(count) for _label, count in found]
    widths = [
        float((rect.get("width") or "").rstrip("%"))
        for rect in svg.iter(f"{SVG}rect")
        if "bar" in (rect.get("class") or "")
    ]
    assert all(0 <= width <= 100 for width in widths)
    assert all((width > 0) == (count > 0) for width, (_label, count) in zip(widths, found, strict=True))
    assert "style" not in {name for element in svg.iter() for name in element.attrib}


def test_a_cell_of_the_file_holds_the_plain_value():
    class Some:
        columns = (Column(name="a", label="A"), Column(name="b", label="B", value=lambda row: row["a"] * 2))

    assert csv_row(Some, {"a": 4}) == ["4", "8"]
    assert csv_row(Some, {"a": "-x"}) == ["'-x", "'-x-x"]
