"""A page of a table costs what its rows cost, however many rows there are besides."""

from __future__ import annotations

import inspect

import pytest
from django.db import connection
from django.db.models import Count
from django.test.utils import CaptureQueriesContext

from keygroups.models import Key
from kmes.ui.cell_arguments import arguments_of, inspect_anew
from kmes.ui.pages import RowPaginator
from tests.ui.rows import body, make_job, make_key


@pytest.fixture
def jobs(group):
    return [make_job(group, subject=f"key-{number:02}") for number in range(30)]


@pytest.mark.parametrize("order", [("name",), ("-created_at", "name"), ("-versions", "name")])
def test_the_pages_hold_each_row_once_in_its_order(order, group):
    for number in range(7):
        make_key(group, f"key-{number}")
    rows = Key.objects.annotate(versions=Count("cloud_versions")).order_by(*order)
    paginator = RowPaginator(rows, 3)
    assert [key.pk for page in paginator for key in page.object_list] == [key.pk for key in rows]


def test_what_rows_show_is_read_for_those_of_the_page(pages, jobs):
    with CaptureQueriesContext(connection) as queries:
        shown = body(pages.get("/jobs/?per_page=25&page=2"))
    assert shown.count("<tr id=") == 5
    (rows,) = (each["sql"] for each in queries if "steps_begun" in each["sql"])
    # The counts stand outside of the part that skips rows.
    chosen = rows.rindex(" IN (SELECT ")
    assert "OFFSET 25" in rows[chosen:]
    assert "jobs_jobstep" not in rows[chosen:]


def test_a_tables_functions_are_inspected_once_and_not_for_each_row(pages, jobs, monkeypatch):
    pages.get("/jobs/")
    inspected = []
    original = inspect.signature
    monkeypatch.setattr(
        inspect, "signature", lambda *args, **options: inspected.append(args) or original(*args, **options)
    )
    shown = body(pages.get("/jobs/"))
    assert shown.count("<tr id=") == 30
    assert len(inspected) < 30


def test_the_arguments_are_those_that_the_library_finds():
    class Sample:
        def method(self, value, record):
            """Take two arguments."""

        def anything(self, **given):
            """Take any."""

        def __call__(self, table):
            """Take one."""

    sample = Sample()
    for function in (sample.method, Sample.method, sample.anything, sample, lambda record: record, len):
        found = [arguments_of(function), arguments_of(function)]
        assert found == [inspect_anew(function)] * 2
