"""What a PDF file shows: a title, facts, bars and tables. Only the content: ``kmes.ui.pdf`` makes the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.functional import Promise

from kmes.ui.pictures import Bar

Text = str | Promise


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
