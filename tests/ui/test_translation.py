"""Every word a page shows can be translated: templates hold none outside the tags, code none outside gettext."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from tests.ui import code_texts

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
    # An attribute that fills a block of another template's tag.
    re.compile(r'\bdata-menu="[^"]*"'),
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


# --- Code ------------------------------------------------------------------------------------
SOURCES = code_texts.sources()


# Every process of a test run imports this file, and few run a test that needs these.
@functools.cache
def family() -> set[str]:
    return code_texts.error_family(SOURCES)


@functools.cache
def detailed() -> set[str]:
    return code_texts.detailed_errors(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_gives_people_no_word_outside_gettext(name):
    assert list(code_texts.untranslated(SOURCES[name], family(), detailed())) == []


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_writes_no_row_of_the_log_through_gettext(name):
    assert list(code_texts.translated_rows(SOURCES[name])) == []


def test_all_errors_are_known_however_they_descend():
    assert {"KmesError", "InputError", "DeviceError", "CloudError", "Yielded", "DeliveryError"} <= family()


@pytest.mark.parametrize(
    "code",
    [
        'raise DeviceError("The device failed.")',
        'raise DeviceError(f"The device failed ({name}).", code="device")',
        'raise InputError(_("Fine."), "Try again", field="name")',
        'raise CloudError(Kind.OTHER, what=_("Fine."), remedy="Wait")',
        'why = "gone" if lost else _("here")\nraise ConflictError(why)',
        'TABLE = {"404": (Kind.NOT_FOUND, "The vault has no such key.")}',
        'def tell(name): return f"The key {name} is gone. Look again."',
        'MenuAction(name="add", submenu="Add")',
        'forms.CharField(label=f"Name {number}")',
        'raise SignOnRefused("it was used before", "Begin again")',
    ],
)
def test_the_search_finds_a_plain_text_in_code(code):
    assert list(code_texts.untranslated(code, family(), detailed()))


@pytest.mark.parametrize(
    "code",
    [
        'raise DeviceError(_("The device failed (%(name)s).") % {"name": name}, code="device")',
        'raise CloudError(kind, str(what) % {"code": f"AADSTS{code}"}, http_status=error.status_code)',
        '"""The module says what it is for."""',
        'record("key.created", actor=actor, message=f"Key {name} created. It is new.")',
        'logger.warning("The broker is out of reach.")',
        'raise SignOnRefused("it was used before", _("Begin again"))',
        'MenuAction(name="add", submenu=_("Add"), url=reverse("keys:add"))',
    ],
)
def test_the_search_leaves_other_texts_alone(code):
    assert not list(code_texts.untranslated(code, family(), detailed()))


@pytest.mark.parametrize("call", ['record("a.b", message=_("Made"))', 'run.log("a.b", _("%(n)d made") % {"n": 1})'])
def test_the_search_finds_a_translated_row(call):
    assert list(code_texts.translated_rows(call))
