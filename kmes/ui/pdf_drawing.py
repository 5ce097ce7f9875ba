"""Draws a paper as a PDF file: numbered pages that say who had them made.

Texts are drawn as they are: nothing in them is markup, and what would hide or turn others is written as ``visible`` does.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from fpdf import FPDF, FontFace
from fpdf.enums import TableBordersLayout, TableCellFillMode, XPos, YPos
from fpdf.fonts import TTFFont

from kmes.core.clock import stamp
from kmes.core.errors import ConflictError
from kmes.ui.paper import Paper, Sheet, Text

# More columns don't fit an upright page.
_UPRIGHT_COLUMNS = 5
_MARGIN, _FOOT = 14.0, 12.0
_TEXT, _SMALL, _LINE = 8.0, 7.0, 4.2
_PADDING = 1.0
# So many rows are measured for the widths of columns.
_MEASURED_ROWS = 300
# A row has to fit a page, and drawing takes a processor as long as its texts are. A cell shows so many times its width: words
# that don't fill their lines take twice as many lines.
_MOST_LINES = 10
# Of a table with more letters each cell shows no more than once its width.
_MANY_LETTERS = 150_000
# Of longer texts no more is looked at, so that measuring them takes no time.
_MOST_LETTERS = 2000
_BAR_HEIGHT = 3.0
_TONES = {"good": (47, 125, 79), "warning": (180, 110, 10), "bad": (176, 42, 55), "neutral": (118, 125, 133)}
_INFO = (36, 97, 166)
_GREY, _PALE = (95, 99, 104), (236, 239, 242)
# Fonts of the package ``pymupdf_fonts``, by family and style. The last has letters that the first lacks: Hebrew, Arabic, Thai,
# Georgian, Devanagari.
_FAMILY, _FURTHER = "notosans", "firago"
_FONTS = {(_FAMILY, ""): "notos", (_FAMILY, "B"): "notosbo", (_FURTHER, ""): "figo", (_FURTHER, "B"): "figbo"}
# It tells of each table of a font that it leaves out.
logging.getLogger("fontTools.subset").setLevel(logging.ERROR)

# Drawing takes a processor for seconds, so one process draws one file at a time. Whoever waits holds a thread that answers
# no other page, so one waits and others are refused at once.
_drawing = threading.Lock()
_places = threading.BoundedSemaphore(2)
_WAIT_SECONDS = 20.0


def draw(paper: Paper, *, page_format: str) -> bytes:
    """Return a paper as a PDF file.

    Raises:
        ConflictError: other files are being made for too long.

    """
    with _alone():
        return bytes(_Drawing(paper, page_format).draw())


@contextmanager
def _alone() -> Iterator[None]:
    with ExitStack() as held:
        if not _places.acquire(blocking=False):
            raise _busy()
        held.callback(_places.release)
        if not _drawing.acquire(timeout=_WAIT_SECONDS):
            raise _busy()
        held.callback(_drawing.release)
        yield


def _busy() -> ConflictError:
    return ConflictError(_("Other PDF files are being made."), _("Try again in a minute, or download the CSV file."))


class _Drawing(FPDF):
    def __init__(self, paper: Paper, page_format: str) -> None:
        widest = max((len(sheet.columns) for sheet in paper.sheets), default=0)
        super().__init__(orientation="portrait" if widest <= _UPRIGHT_COLUMNS else "landscape", format=page_format)
        self.paper = paper
        self.set_margin(_MARGIN)
        self.set_auto_page_break(auto=True, margin=_MARGIN + _FOOT / 2)
        for (family, style), name in _FONTS.items():
            self.add_font(family, style=style, fname=_font_file(name))
        self.set_fallback_fonts([_FURTHER], exact_match=False)
        self.letters = _Letters(self)
        self.set_title(self._show(paper.title))
        self.set_author(self._show(paper.made_by))
        self.set_creator("KMES")
        self.set_creation_date(paper.made_at)
        self.set_lang("en")

    def draw(self) -> bytearray:
        self.add_page()
        self._write(self.paper.title, size=15, style="B", height=8)
        self.ln(1)
        for name, value in self.paper.facts:
            self._fact(name, value)
        for note in self.paper.notes:
            self._write(note, size=_TEXT + 1, height=5)
        if self.paper.bars:
            self._bars()
        for sheet in self.paper.sheets:
            self._sheet(sheet)
        return self.output()

    def footer(self) -> None:
        """Draw the foot of a page; called for each by the library."""
        self.set_y(-_FOOT)
        self._font(_SMALL)
        self.set_text_color(*_GREY)
        made = _("%(title)s · made by %(name)s, %(moment)s UTC") % {
            "title": self.paper.title,
            "name": self.paper.made_by,
            "moment": stamp(self.paper.made_at),
        }
        number = _("Page %(page)s of %(pages)s") % {"page": self.page_no(), "pages": "{nb}"}
        self.cell(self.epw * 0.8, 5, self._cut(made, self.epw * 0.78), new_x=XPos.RIGHT, new_y=YPos.TOP)
        self.cell(self.epw * 0.2, 5, number, align="R")
        self.set_text_color(0)

    def _fact(self, name: Text, value: Text) -> None:
        left = min(45.0, self.epw / 4)
        self._font(_TEXT + 1)
        self.set_text_color(*_GREY)
        self.cell(left, 5, self._cut(name, left), new_x=XPos.RIGHT, new_y=YPos.TOP)
        self.set_text_color(0)
        self._write(value, size=_TEXT + 1, height=5, width=self.epw - left)

    def _bars(self) -> None:
        self.ln(3)
        longest = max((bar.count for bar in self.paper.bars), default=0)
        name_width, count_width = self.epw * 0.3, 18.0
        whole = self.epw - name_width - count_width
        self._font(_TEXT)
        for bar in self.paper.bars:
            self.cell(name_width, 5, self._cut(bar.label, name_width - 2), new_x=XPos.RIGHT, new_y=YPos.TOP)
            self.cell(count_width, 5, str(bar.count), align="R", new_x=XPos.RIGHT, new_y=YPos.TOP)
            self.set_fill_color(*_TONES.get(bar.tone, _INFO))
            if bar.count:
                width = max((whole - 4) * bar.count / longest, 0.2)
                self.rect(self.get_x() + 3, self.get_y() + 1, width, _BAR_HEIGHT, style="F")
            self.ln(5)
        self.set_fill_color(255)

    def _sheet(self, sheet: Sheet) -> None:
        self.ln(4)
        if sheet.title:
            self._write(sheet.title, size=_TEXT + 2.5, style="B", height=6)
        self._font(_TEXT)
        self.set_draw_color(*_PALE)
        columns = [self._show(each) for each in sheet.columns]
        rows = [[self._show(cell) for cell in row] for row in sheet.rows]
        widths = _share([self._natural(place, columns, rows) for place in range(len(columns))], self.epw)
        lines = _MOST_LINES if sum(len(cell) for row in rows for cell in row) <= _MANY_LETTERS else 1
        most = [lines * max(width - 2 * _PADDING - 1, 1) for width in widths]
        with self.table(
            col_widths=widths,
            text_align=["RIGHT" if place in sheet.numeric else "LEFT" for place in range(len(columns))],  # type: ignore[arg-type]
            repeat_headings=1,
            line_height=_LINE,
            padding=(0.6, _PADDING),
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            cell_fill_mode=TableCellFillMode.NONE,
            v_align="TOP",
            headings_style=FontFace(emphasis="BOLD", fill_color=_PALE),
        ) as table:
            table.row(columns)
            for row in rows:
                table.row([self._cut_shown(cell, width) for cell, width in zip(row, most, strict=True)])

    def _natural(self, place: int, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> float:
        """Return the width at which no text of a column is broken, in millimetres."""
        self.set_font(style="B")
        head = self.get_string_width(columns[place])
        self.set_font(style="")
        longest = max((self.get_string_width(row[place]) for row in rows[:_MEASURED_ROWS]), default=0.0)
        return max(head, longest) + 2 * _PADDING + 1

    def _write(self, text: Text, *, size: float, height: float, style: str = "", width: float = 0) -> None:
        self._font(size, style)
        self.multi_cell(width, height, self._show(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _font(self, size: float, style: Any = "") -> None:
        self.set_font(_FAMILY, style=style, size=size)

    def _show(self, text: Text) -> str:
        shown = str(text)
        is_long = len(shown) > _MOST_LETTERS
        return shown[:_MOST_LETTERS].translate(self.letters) + ("…" if is_long else "")

    def _cut(self, text: Text, width: float) -> str:
        """Return as much of a text as fits a width."""
        return self._cut_shown(self._show(text), width)

    def _cut_shown(self, shown: str, width: float) -> str:
        if self.get_string_width(shown) <= width:
            return shown
        # The first length that is too long, found by halves: a text may have thousands of letters.
        fits = bisect_right(range(len(shown)), width, key=lambda count: self.get_string_width(f"{shown[:count]}…"))
        return f"{shown[: max(fits - 1, 0)]}…"


class _Letters(dict[int, str]):
    """Maps the code of a letter to itself, or to its code in words where no font has it."""

    def __init__(self, drawing: FPDF) -> None:
        super().__init__()
        self._known = {code for font in drawing.fonts.values() if isinstance(font, TTFFont) for code in font.cmap}

    def __missing__(self, code: int) -> str:
        self[code] = shown = chr(code) if code in self._known and not _hides(code) else f"\\u{code:04x}"
        return shown


def _hides(code: int) -> bool:
    return not chr(code).isprintable()


def _share(natural: Sequence[float], whole: float) -> tuple[float, ...]:
    """Return the widths of columns that want ``natural``: where there is not enough, the widest give way."""
    widths, left = list(natural), whole
    by_width = sorted(range(len(widths)), key=lambda place: widths[place])
    for done, place in enumerate(by_width):
        widths[place] = min(widths[place], left / (len(widths) - done))
        left -= widths[place]
    return tuple(width + left / len(widths) for width in widths)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="kmes-fonts-")


@cache
def _font_file(name: str) -> Path:
    """Return the file of a font. The library reads fonts from files only."""
    import pymupdf_fonts  # noqa: PLC0415 - a megabyte of fonts, which few processes need

    path = Path(_folder().name) / f"{name}.ttf"
    path.write_bytes(pymupdf_fonts.myfont(name))
    return path
