"""PDF files of a paper (``kmes.ui.paper``) in the sizes that an address can ask for. Needs no database."""

from __future__ import annotations

from django.http import HttpRequest

from kmes.ui.paper import Paper

SIZES = {"a4": "A4", "letter": "Letter"}
# Drawing takes about 2.5 ms a row. Longer files are what CSV is for.
MOST_ROWS = 1000


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
