"""What a PDF file shows: a title, facts, bars and tables. ``make_pdf`` makes the file; it needs no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.http import HttpRequest
from django.utils.functional import Promise

from kmes.ui.pictures import Bar

Text = str | Promise

SIZES = {"a4": "A4", "letter": "Letter"}
# Drawing takes about 2.5 ms a row. Longer files are what CSV is for.
MOST_ROWS = 1000


@dataclass(frozen=True)
class Sheet:
    """One table of a paper. ``numeric`` holds the places of columns that are set to the right."""

    columns: Sequence[Text]
    rows: Sequence[Sequence[str]]
    title: Text = ""
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Paper:
    """What a file shows, from top to bottom. ``facts`` are pairs of a name and a value; ``notes`` stand below them."""

    title: Text
    made_by: str
    made_at: datetime
    facts: Sequence[tuple[Text, Text]] = field(default_factory=tuple)
    notes: Sequence[Text] = field(default_factory=tuple)
    bars: Sequence[Bar] = field(default_factory=tuple)
    sheets: Sequence[Sheet] = field(default_factory=tuple)


def size_asked(request: HttpRequest) -> str:
    """Return the size of paper that an address asks for (``?paper=letter``); A4 if it asks for none that is known."""
    asked = request.GET.get("paper", "")
    return asked if asked in SIZES else "a4"


def make_pdf(paper: Paper, *, size: str = "a4") -> bytes:
    """Return a paper as a PDF file, on sheets of ``size``: one of ``SIZES``.

    Raises:
        ConflictError: other files are being made for too long.

    """
    from kmes.ui.pdf_drawing import draw  # noqa: PLC0415 - libraries of 20 MB, which few processes need

    return draw(paper, page_format=SIZES[size])
