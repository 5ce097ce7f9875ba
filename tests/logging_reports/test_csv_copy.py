"""PostgreSQL writes the same CSV file as Python, whatever the rows hold."""

from __future__ import annotations

import csv
import io
import sys

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from kmes.core.actor import SYSTEM
from logging_reports import csv_copy, csv_rows
from logging_reports.choices import Service
from logging_reports.exports import stream
from logging_reports.models import LogEntry
from logging_reports.safe_text import csv_cell, may_need_guard
from logging_reports.selectors import LogFilter, list_entries
from logging_reports.services import Draft, record_many

ODD = (
    *(
        "=1+1",
        "  =1",
        "\u00a0@SUM(A1)",
        "\uff1d1",
        "-",
        "+",
        "a\r\nb",
        "\x1b[31m",
        "\u202eabc",
        "\ufeff",
        "\u00a6=1",
        "\u00a6",
    ),
    *('a,"b"', '"', "'", "\\", "\\.", "ü€😀", "%s %%", "\x7f", "\u2028", "\u0085", "", " ", "a\tb", "NULL", "\\N"),
)
# From flat to deep, with names that the database sorts in another order than Python.
DATA = (
    {},
    {"b": 1, "aa": "x", "ä": None, "A": True, "a,b": '"', "😀": "\uffff"},
    {"list": ["b", "a"], "one": {"two": {"z": 1, "y": [{}]}}},
    {"=1": "=1", "a": "\u202e", "\\": "\n\t\b\f\u0001"},
    {"big": 2**80, "negative": -1, "empty": [], "none": {}},
)


def write_odd_rows() -> None:
    drafts = [Draft(event="azure.probe", actor=SYSTEM, message=text, data={"text": text}) for text in ODD]
    drafts += [Draft(event="azure.probe", actor=SYSTEM, message="data", data=data) for data in DATA]
    record_many([*drafts, Draft(event="azure.probe", actor=SYSTEM, message="=", duration_ms=-1, http_status=200)])


def in_python() -> bytes:
    rows = LogEntry.objects.filter(service=Service.AZURE).order_by("-sequence").values_list(*csv_rows.FIELDS)
    return csv_rows.header(for_excel=True) + csv_rows.render(rows)


def exported() -> bytes:
    return b"".join(stream(LogFilter(), actor=SYSTEM, file_name="x.csv"))


@pytest.mark.django_db
def test_a_file_is_the_same_byte_for_byte():
    write_odd_rows()
    assert exported() == in_python()


@pytest.mark.django_db
def test_whatever_a_formula_may_begin_with_is_guarded_alike():
    begins = [chr(code) for code in range(0x10000) if chr(code).isspace()] + list("=+-@\uff1d\uff0b\uff0d\uff20")
    record_many([Draft(event="azure.probe", actor=SYSTEM, message=f"{begin}=1") for begin in begins])
    assert exported() == in_python()


@pytest.mark.django_db
def test_rows_in_several_parts_follow_each_other_without_a_gap(monkeypatch):
    monkeypatch.setattr(csv_copy, "ROWS_PER_COPY", 5)
    monkeypatch.setattr(csv_copy, "ROWS_PER_PART", 2)
    write_odd_rows()
    content = exported()
    assert content == in_python()
    assert (
        len(list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))))
        == 1 + LogEntry.objects.filter(service=Service.AZURE).count()
    )


@pytest.mark.django_db
def test_a_row_that_was_changed_in_the_database_is_written_alike(unguarded_log):
    write_odd_rows()
    table, quoted = LogEntry._meta.db_table, connection.ops.quote_name("group")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {quoted} = %s, data = %s WHERE sequence = 1", ["\t=1", '["=1", 1.50]'])  # noqa: S608
        cursor.execute(f"UPDATE {table} SET hash = %s, data = %s WHERE sequence = 2", ["=1\n", '"=text"'])  # noqa: S608
        cursor.execute(f"UPDATE {table} SET http_status = -1, data = %s WHERE sequence = 3", ["null"])  # noqa: S608
        cursor.execute(f"UPDATE {table} SET data = %s WHERE sequence = 4", ['{"fraction": 1.50, "a": 1e2}'])  # noqa: S608
    assert exported() == in_python()


@pytest.mark.django_db
def test_a_filter_holds_for_rows_that_the_database_leaves_to_python():
    write_odd_rows()
    content = b"".join(stream(LogFilter(text="=1"), actor=SYSTEM, file_name="x.csv"))
    expected = list_entries(LogFilter(text="=1")).order_by("-sequence").values_list(*csv_rows.FIELDS)
    assert content == csv_rows.header(for_excel=True) + csv_rows.render(expected)
    assert len(expected) >= 3


@given(st.lists(st.text(), max_size=5))
def test_a_row_is_looked_at_cell_by_cell_if_a_cell_would_change(texts):
    if [csv_cell(text) for text in texts] != texts:
        assert may_need_guard(texts)


def test_each_blank_that_python_strips_is_one_before_a_formula():
    for number in range(sys.maxunicode + 1):
        if chr(number).isspace():
            assert may_need_guard(["a", f"{chr(number)}=1"]), hex(number)
