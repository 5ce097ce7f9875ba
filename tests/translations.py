"""A translation made for a test: every text it is given comes out marked, so that nobody can take it for English."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from django.utils import translation

# A language that Django knows and the console has no catalogue of.
LANGUAGE = "eo"


def marked(text: str) -> str:
    """Return a text as the made-up translation says it."""
    return f"«{text}»"


def write_catalogue(folder: Path, texts: Iterable[str]) -> None:
    """Write a compiled catalogue (GNU gettext's .mo) that marks each text."""
    pairs = sorted([("", "Content-Type: text/plain; charset=UTF-8\n"), *((text, marked(text)) for text in texts)])
    strings = [text.encode() for pair in pairs for text in pair]
    tables, place = {0: b"", 1: b""}, 28 + 16 * len(pairs)
    for number, text in enumerate(strings):
        tables[number % 2] += struct.pack("<II", len(text), place)
        place += len(text) + 1
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    path = folder / LANGUAGE / "LC_MESSAGES" / "django.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(head + tables[0] + tables[1] + b"\0".join(strings) + b"\0")


@pytest.fixture
def speak(tmp_path, settings) -> Callable[..., translation.override]:
    """Return what opens a block in which the given texts are translated."""

    def speak(*texts: str) -> translation.override:
        write_catalogue(tmp_path / "locale", texts)
        settings.LOCALE_PATHS = [tmp_path / "locale"]
        return translation.override(LANGUAGE)

    return speak
