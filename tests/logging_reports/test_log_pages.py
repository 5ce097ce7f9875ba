"""System Logs pages: filters, paging, empty states, rights; with and without htmx."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from kmes.core.actor import SYSTEM, Actor, Trigger
from kmes.ui.filters import MomentField
from kmes.ui.layouts import PAGE_SIZE
from logging_reports.choices import Severity
from logging_reports.selectors import LogFilter, count_capped, find_page, list_entries
from logging_reports.services import Subject, record
from tests.logging_reports.log_pages import URL, auditor, shown, write
from tests.logging_reports.signer import Signer

__all__ = ["auditor"]
pytestmark = pytest.mark.django_db


def test_the_log_is_kept_from_strangers(client):
    assert client.get(URL).status_code == 302
    assert client.get(URL + "export.csv").status_code == 302


def test_rows_show_newest_first_with_exact_times(auditor):
    with time_machine.travel(datetime(2026, 11, 23, 14, 5, 9, tzinfo=UTC), tick=False):
        write(3)
    response = auditor.get(URL)
    assert shown(response) == ["m0002", "m0001", "m0000"]
    assert "2026-11-23 14:05:09" in response.content.decode()
    assert [label for label in ("Azure Service", "Audit", "Device") if label in response.content.decode()]


def test_each_log_shows_its_own_rows(auditor):
    record("access.login", actor=SYSTEM, message="signed-in-row")
    assert "signed-in-row" not in auditor.get(URL).content.decode()
    assert "signed-in-row" in auditor.get(URL, {"service": "audit"}).content.decode()
    assert auditor.get(URL, {"service": "nonsense"}).status_code == 200


def test_older_and_newer_links_walk_all_rows_once(auditor):
    write(PAGE_SIZE * 2 + 7)
    seen, url = [], URL
    while url:
        body = auditor.get(url).content.decode()
        seen += re.findall(r"\bm\d{4}\b", body)
        older = re.search(r'rel="next" href="([^"]+)"', body)
        back = re.search(r'rel="prev" href="([^"]+)"', body)
        url = older[1].replace("&amp;", "&") if older else ""
    assert seen == [f"m{n:04}" for n in reversed(range(PAGE_SIZE * 2 + 7))]
    assert back
    assert len(shown(auditor.get(back[1].replace("&amp;", "&")))) == PAGE_SIZE


def test_paging_back_and_forth_gives_the_same_page():
    write(25)
    rows = list_entries(LogFilter())
    first = find_page(rows, size=10)
    second = find_page(rows, before=first.older, size=10)
    third = find_page(rows, before=second.older, size=10)
    assert (first.newer, third.older) == (None, None)
    assert [row.pk for row in find_page(rows, after=third.newer, size=10).rows] == [row.pk for row in second.rows]
    assert [row.pk for row in find_page(rows, after=second.newer, size=10).rows] == [row.pk for row in first.rows]
    assert find_page(rows, after=second.newer, size=10).newer is None
    assert find_page(rows, before=1, size=10).rows == []
    assert find_page(rows, after=25, size=10).rows == []


FILTERS = [
    {"category": "import"},
    {"severity": "error"},
    {"q": "NEEDLE"},
    {"q": "req-77"},
    {"group": "tde"},
    {"group": str(UUID(int=3))},
    {"key": "tde-1"},
    {"key": str(UUID(int=4))},
    {"job": "7f3kq2"},
    {"job": str(UUID(int=5))},
    {"actor": "Ann"},
    {"since": "2026-11-23 12:00", "until": "2026-11-23T13:00"},
    {"since": "2026-11-23", "until": "2026-11-23"},
    {"category": "import", "severity": "error", "q": "needle", "group": "tde", "range": ""},
]


@pytest.mark.parametrize("query", FILTERS, ids=str)
def test_each_filter_finds_exactly_its_row(auditor, query):
    with time_machine.travel(datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC), tick=False):
        write(1)
    with time_machine.travel(datetime(2026, 11, 23, 12, 30, tzinfo=UTC), tick=False):
        record(
            "azure.key_imported",
            actor=Actor("ann", Trigger.USER, 1),
            severity=Severity.ERROR,
            message="m7777 needle",
            subject=Subject(group_id=str(UUID(int=3)), group="tde", key_id=str(UUID(int=4)), key="tde-1"),
            job_id=UUID(int=5),
            job_code="7F3KQ2",
            provider_request_id="req-77",
        )
    with time_machine.travel(datetime(2026, 11, 24, tzinfo=UTC), tick=False):
        write(1)
    assert shown(auditor.get(URL, query)) == ["m7777"]


def test_a_preset_takes_recent_rows_only(auditor):
    with time_machine.travel(datetime(2026, 11, 23, 12, tzinfo=UTC), tick=False) as clock:
        write(1)
        clock.shift(timedelta(minutes=61))
        record("azure.probe", actor=SYSTEM, message="m8888")
        assert shown(auditor.get(URL, {"range": "1h"})) == ["m8888"]
        assert len(shown(auditor.get(URL, {"range": "24h"}))) == 2


BAD = [
    ({"since": "yesterday"}, "since", "Use a UTC date and time"),
    ({"until": "2026-13-45"}, "until", "Use a UTC date and time"),
    ({"until": "9999-12-31"}, "until", "Use a UTC date and time"),
    ({"since": "2026-11-23", "until": "2026-11-01"}, "until", "lies before"),
    ({"severity": "dire"}, "severity", "valid choice"),
    ({"category": "cats"}, "category", "valid choice"),
    ({"range": "1y"}, "range", "valid choice"),
]


@pytest.mark.parametrize(("query", "field", "text"), BAD, ids=str)
def test_a_filter_that_can_not_be_used_says_so_at_its_field(auditor, query, field, text):
    write(1)
    body = auditor.get(URL, query).content.decode()
    error = re.search(rf'id="filter-{field}-error"[^>]*>([^<]*)<', body)
    assert error
    assert text in error[1]
    assert shown(auditor.get(URL, query)) == []
    assert auditor.get(URL + "export.csv", query).status_code == 400


@pytest.mark.parametrize("position", ["x", "-1", "9" * 30, "9223372036854775807", "\u0661", ""])
def test_odd_page_positions_do_no_harm(auditor, position):
    write(1)
    assert auditor.get(URL, {"before": position}).status_code == 200
    assert auditor.get(URL, {"after": position}).status_code == 200


def test_a_fragment_holds_the_rows_and_no_page_around_them(auditor):
    write(1)
    response = auditor.get(URL, headers={"HX-Request": "true", "HX-Target": "log-results"})
    body = response.content.decode()
    assert shown(response) == ["m0000"]
    assert "<html" not in body
    assert 'id="log-results"' in body
    assert "HX-Target" in response["Vary"]


def test_the_filter_answers_while_one_types_by_the_console_s_own_means(auditor):
    write(2)
    body = auditor.get(URL).content.decode()
    form = re.search(r'<form id="log-filters".*?</form>', body, re.DOTALL)
    assert form
    parts = re.search(r'data-quick-search="([^"]*)"', form[0])
    assert parts
    # The first part holds the count that is announced; a part that isn't there would be silently left out.
    assert parts[1].split()[0] == "log-results"
    assert re.search(r"<p [^>]*data-count>\s*2 rows", body)
    for part in parts[1].split():
        assert body.count(f'id="{part}"') == 1, part
    # One search of its own would ask twice; half a date is no date.
    assert "hx-get" not in form[0]
    assert re.search(r'name="since"[^>]*data-when-left', form[0])
    assert not re.search(r'name="q"[^>]*data-when-left', form[0])


def test_chips_name_the_filters_and_take_them_away(auditor):
    write(2)
    body = auditor.get(URL, {"q": "m0001", "severity": "info", "before": "9"}).content.decode()
    assert "Text: m0001" in re.sub(r"\s+", " ", body)
    assert "Severity: Info" in re.sub(r"\s+", " ", body)
    assert 'href="/logs/?service=azure&amp;severity=info"' in body
    assert 'href="/logs/?service=azure&amp;q=m0001"' in body


def test_a_chip_names_the_key_the_group_and_the_job_that_the_address_knows_by_id(auditor):
    subject = Subject(group_id=str(UUID(int=3)), group="tde", key_id=str(UUID(int=4)), key="tde-1")
    record("azure.key_imported", actor=SYSTEM, message="m1", subject=subject, job_id=UUID(int=5), job_code="7F3KQ2")
    query = {"key": str(UUID(int=4)), "group": str(UUID(int=3)), "job": str(UUID(int=5))}
    body = re.sub(r"\s+", " ", auditor.get(URL, query).content.decode())
    for chip in ("Key: tde-1", "Key group: tde", "Job: job-7F3KQ2"):
        assert chip in body
    # An id that no row has stays what it is.
    assert f"Key: {UUID(int=9)}" in re.sub(r"\s+", " ", auditor.get(URL, {"key": str(UUID(int=9))}).content.decode())


def test_another_log_keeps_the_filters_but_the_category(auditor):
    body = auditor.get(URL, {"service": "audit", "category": "kek", "q": "find"}).content.decode()
    assert "valid choice" not in body
    assert '<input type="hidden" name="q" value="find">' in body


def test_the_empty_states_differ(auditor):
    assert "Nothing is logged here yet" in auditor.get(URL).content.decode()
    write(1)
    assert "No row matches" in auditor.get(URL, {"q": "absent"}).content.decode()


def test_hostile_text_is_shown_and_does_nothing(auditor):
    row = record("azure.probe", actor=SYSTEM, message="<script>x\r\n\x1b[31m\u202e", data={"<b>": "\u2028\x07"})
    for url in (URL, reverse("logs:detail", args=["azure", row.sequence])):
        body = auditor.get(url).content.decode()
        assert "&lt;script&gt;x\\u000d\\u000a\\u001b[31m\\u202e" in body
        assert not re.search("[\x1b\u202e\u2028\x07]", body)


@pytest.mark.parametrize(
    "url",
    [
        URL,
        URL + "?before=100",
        URL + "?q=m0001&severity=info&category=connectivity&key=k1&since=2026-01-01&until=2030-01-01",
        URL + "?jump=2030-01-01",
        URL + "tail/?than=3",
        "/logs/azure/30/?severity=info&since=2026-01-01&until=2030-01-01",
        URL + "exports/",
        URL + "checkpoints/",
        URL + "filters/save/?severity=error",
    ],
)
def test_a_page_costs_few_queries_however_many_rows(auditor, url):
    write(PAGE_SIZE + 5)
    signer = Signer()
    signer.make_checkpoint()
    auditor.get(url)
    with CaptureQueriesContext(connection) as few:
        auditor.get(url)
    write(400)
    signer.make_checkpoint()
    with CaptureQueriesContext(connection) as many:
        assert auditor.get(url).status_code in (200, 204)
    assert len(many) <= len(few) <= 12


def test_a_date_leads_to_the_rows_of_that_time(auditor):
    for day in (20, 22, 24):
        with time_machine.travel(datetime(2026, 11, day, 12, tzinfo=UTC), tick=False):
            record("azure.probe", actor=SYSTEM, message=f"m00{day}")
    assert shown(auditor.get(URL, {"jump": "2026-11-22"})) == ["m0022", "m0020"]
    assert shown(auditor.get(URL, {"jump": "2026-11-22 11:59"})) == ["m0020"]
    assert shown(auditor.get(URL, {"jump": "2026-11-01"})) == []
    assert "Newer" in auditor.get(URL, {"jump": "2026-11-01"}).content.decode()
    body = auditor.get(URL, {"jump": "soon"}).content.decode()
    assert len(re.findall(r"\bm\d{4}\b", body)) == 3


def test_rows_written_by_a_clock_that_goes_wrong_by_minutes_are_found_by_their_time(auditor):
    with time_machine.travel(datetime(2026, 11, 24, 12, tzinfo=UTC), tick=False):
        write(1)
    with time_machine.travel(datetime(2026, 11, 24, 11, 30, tzinfo=UTC), tick=False):
        record("azure.probe", actor=SYSTEM, message="m7777")
    assert shown(auditor.get(URL, {"until": "2026-11-24 11:45"})) == ["m7777"]
    assert shown(auditor.get(URL, {"since": "2026-11-24 11:45"})) == ["m0000"]


TAIL = URL + "tail/"


def test_new_rows_are_counted_within_the_filter_and_not_pushed(auditor):
    write(2)
    body = auditor.get(URL, {"q": "m0"}).content.decode()
    tail = re.search(r'hx-get="(/logs/tail/[^"]+)" hx-trigger="refresh" data-follows="log"', body)[1].replace(
        "&amp;", "&"
    )
    assert auditor.get(tail).status_code == 204
    record("azure.probe", actor=SYSTEM, message="unrelated")
    assert auditor.get(tail).status_code == 204
    write(3)
    answer = auditor.get(tail)
    assert "3 new rows – show" in answer.content.decode()
    assert shown(answer) == []
    following = re.search(r'hx-get="(/logs/tail/[^"]+)" hx-trigger', answer.content.decode())[1].replace("&amp;", "&")
    assert auditor.get(following).status_code == 204


def test_a_paused_tail_asks_no_more_until_it_is_resumed(auditor):
    write(1)
    write(2)
    paused = auditor.get(TAIL, {"than": 1, "seen": 0, "paused": 1}).content.decode()
    assert 'data-follows="log"' not in paused
    assert "new row" not in paused
    resume = re.search(r'hx-get="(/logs/tail/[^"]+)"', paused)[1].replace("&amp;", "&")
    resumed = auditor.get(resume).content.decode()
    assert "2 new rows" in resumed
    assert 'data-follows="log"' in resumed


def test_only_the_newest_page_watches(auditor):
    write(3)
    assert "/logs/tail/" in auditor.get(URL).content.decode()
    assert "/logs/tail/" not in auditor.get(URL, {"before": 3}).content.decode()


def test_the_page_counts_new_rows_up_to_a_cap(auditor, monkeypatch):
    monkeypatch.setattr("logging_reports.selectors.NEW_ROWS_CAP", 3)
    monkeypatch.setattr("logging_reports.views.NEW_ROWS_CAP", 3)
    write(9)
    assert "More than 3 new rows" in auditor.get(TAIL, {"than": 0}).content.decode()


def test_counting_stops_at_its_cap(auditor, monkeypatch):
    monkeypatch.setattr("logging_reports.selectors.COUNT_CAP", 10)
    monkeypatch.setattr("logging_reports.selectors.TEXT_COUNT_CAP", 3)
    write(15)
    assert count_capped(list_entries(LogFilter()), cap=10) == 11
    assert "More than 10 rows" in auditor.get(URL).content.decode()
    assert "More than 3 rows" in auditor.get(URL, {"q": "m0"}).content.decode()
    # Too many for a page that is being waited for: the background is offered.
    assert "Export in the background" in auditor.get(URL).content.decode()


def test_templates_hold_no_inline_script_or_style(auditor):
    write(1)
    for url in (URL, reverse("logs:detail", args=["azure", 1]), reverse("logs:exports")):
        body = auditor.get(url).content.decode()
        main = body[body.index("<main") :]
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|hx-on|js:", main)


@pytest.mark.parametrize("offset", ["-23:59", "+23:59"])
def test_a_moment_with_any_offset_is_taken_to_utc(offset):
    moment = MomentField(label="Until").clean(f"2026-11-28T12:00:00{offset}")
    assert moment == datetime.fromisoformat(f"2026-11-28T12:00:00{offset}")
    assert moment.utcoffset() == timedelta(0), "PostgreSQL refuses offsets of 16 hours and more"
