"""Every word a page shows can be translated: templates hold none outside the translation tags."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
# Names that are the same in every language.
NAMES = {"KMES", "PEM", "JWK", "CSV", "JSON", "Lines", "UTC", "CPU", "nbsp", "SVG", "SHA", "HMAC", "ms"}
BLOCK = re.compile(r"{%\s*blocktranslate.*?{%\s*endblocktranslate\s*%}|{%\s*comment.*?{%\s*endcomment\s*%}", re.DOTALL)
# Attributes that are read or seen; a value in the middle of a template tag is looked at with it gone.
SPOKEN = re.compile(r'\b(?:aria-label|title|placeholder|alt|data-busy|data-discard)="([^"]*)"')
GONE = (
    re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL),
    re.compile(r"{#.*?#}"),
    re.compile(r"{%.*?%}", re.DOTALL),
    re.compile(r"{{.*?}}", re.DOTALL),
)


def words_in(text: str) -> list[str]:
    """What is left of a template that a reader would see as words."""
    text = BLOCK.sub("", text)
    for pattern in GONE:
        text = pattern.sub("", text)
    seen = [*SPOKEN.findall(text), re.sub(r"<[^>]*>", " ", text, flags=re.DOTALL)]
    words = re.findall(r"[A-Za-z]{2,}", re.sub(r"&\w+;", " ", " ".join(seen)))
    return [word for word in words if word not in NAMES]


# Shown when nothing can be relied on any more, the translations included.
PAGES = [path for path in sorted(TEMPLATES.rglob("*.html")) if path != TEMPLATES / "500.html"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_a_template_holds_no_word_that_cant_be_translated(path):
    assert words_in(path.read_text()) == []


def test_the_search_finds_words_in_text_and_in_spoken_attributes():
    assert words_in('<p title="Hello">{% translate "Fine" %} there {{ name }}</p>') == ["Hello", "there"]
