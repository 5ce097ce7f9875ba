"""PDF files: their pages, texts and tables, as another program reads them."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from kmes.core.errors import ConflictError
from kmes.ui import pdf_drawing
from kmes.ui.paper import Paper, Sheet
from kmes.ui.pdf import make_pdf
from kmes.ui.pictures import Bar

MOMENT = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)


def paper(**values) -> Paper:
    return Paper(**{"title": "Key age", "made_by": "audra", "made_at": MOMENT} | values)


def read(content: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(content), strict=True)


def text_of(content: bytes) -> str:
    return "\n".join(page.extract_text() for page in read(content).pages)


def test_each_page_has_the_heads_of_the_table_who_had_it_made_and_its_number():
    rows = [[f"key-{n}", "Active", str(n)] for n in range(120)]
    pages = read(make_pdf(paper(sheets=[Sheet(["Name", "State", "Days"], rows)]))).pages
    assert len(pages) > 2
    for number, page in enumerate(pages, start=1):
        text = page.extract_text()
        assert "Name" in text
        assert "made by audra, 2026-11-23 14:05:00 UTC" in text
        assert f"Page {number} of {len(pages)}" in text
    whole = "\n".join(page.extract_text() for page in pages)
    assert all(f"key-{n}" in whole for n in range(120))


def test_sheets_have_the_size_that_was_asked_for_and_lie_down_for_many_columns():
    upright = read(make_pdf(paper(sheets=[Sheet(["A"], [["1"]])]), size="a4")).pages[0].mediabox
    assert (round(upright.width), round(upright.height)) == (595, 842)
    lying = read(make_pdf(paper(sheets=[Sheet(list("ABCDEF"), [list("123456")])]), size="letter")).pages[0].mediabox
    assert (round(lying.width), round(lying.height)) == (792, 612)


def test_facts_notes_and_bars_stand_before_the_table():
    content = make_pdf(
        paper(
            facts=[("As of", "today")],
            notes=["All is well."],
            bars=[Bar("Older than a year", 7, "bad"), Bar("None", 0)],
            sheets=[Sheet(["Name"], [["tde-01"]], title="Keys")],
        )
    )
    text = text_of(content)
    parts = ["Key age", "As of", "today", "All is well.", "Older than a year", "7", "Keys", "tde-01"]
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)


def test_letters_of_many_scripts_are_drawn_and_what_no_font_has_is_named_by_its_code():
    text = text_of(make_pdf(paper(sheets=[Sheet(["Name"], [["Größe Ключ κλειδί ქართული"], ["金 key"]])])))
    assert "Größe Ключ κλειδί ქართული" in text
    assert "\\u91d1 key" in text


def test_nothing_in_a_text_is_markup_and_nothing_in_it_hides_or_turns_others():
    wanted = "**bold** <b>x</b> a\u202eb\u200bc\x07d"
    text = text_of(make_pdf(paper(title=wanted, sheets=[Sheet(["Name"], [[wanted]])])))
    assert text.count("**bold** <b>x</b> a\\u202eb\\u200bc\\u0007d") >= 2


def test_a_file_carries_no_script_no_link_and_no_attachment():
    content = make_pdf(paper(title="https://example.com/", sheets=[Sheet(["Name"], [["javascript:alert(1)"]])]))
    for word in (b"/JavaScript", b"/JS", b"/URI", b"/Launch", b"/EmbeddedFile", b"/OpenAction <<"):
        assert word not in content


@settings(max_examples=6, deadline=None)
@given(st.lists(st.lists(st.text(max_size=120), min_size=3, max_size=3), max_size=5), st.text(max_size=300))
def test_any_text_makes_a_file_that_others_read(rows, title):
    assert read(make_pdf(paper(title=title, sheets=[Sheet(["A", "B", "C"], rows)]))).pages


def test_a_second_file_waits_for_the_first_and_says_so_when_that_takes_too_long(monkeypatch):
    monkeypatch.setattr(pdf_drawing, "_WAIT_SECONDS", 0.05)
    with pdf_drawing._drawing, pytest.raises(ConflictError, match="PDF files are being made"):
        make_pdf(paper())
    assert make_pdf(paper()).startswith(b"%PDF")


def test_a_text_that_is_longer_than_a_page_is_cut():
    rows = [["short", "an error " * 5000], ["long", "x" * 50_000]]
    pages = read(make_pdf(paper(title="W" * 5000, sheets=[Sheet(["State", "Message"], rows)]))).pages
    text = "\n".join(page.extract_text() for page in pages)
    assert len(pages) <= 3
    assert "an error" in text
    assert "x…" in text


def test_a_table_of_many_long_texts_shows_the_beginning_of_each(monkeypatch):
    rows = [[f"key-{n}", "word " * 60] for n in range(4)]
    whole = text_of(make_pdf(paper(sheets=[Sheet(["Name", "Message"], rows)])))
    monkeypatch.setattr(pdf_drawing, "_MANY_LETTERS", 1000)
    short = text_of(make_pdf(paper(sheets=[Sheet(["Name", "Message"], rows)])))
    assert whole.count("word") == 240
    assert all(f"key-{n}" in short for n in range(4))
    assert 4 < short.count("word") < 200


def test_of_many_files_at_once_one_waits_and_the_others_are_refused_at_once(monkeypatch):
    monkeypatch.setattr(pdf_drawing, "_WAIT_SECONDS", 3600.0)
    with (
        pdf_drawing._drawing,
        pdf_drawing._places,
        pdf_drawing._places,
        pytest.raises(ConflictError, match="PDF files are being made"),
    ):
        make_pdf(paper())
    assert make_pdf(paper())
