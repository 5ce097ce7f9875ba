"""The console's addresses and the forms on its pages, as a browser would find them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, urljoin, urlsplit

from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

from kmes.devtools.fuzz.odd_values import odd_bytes
from kmes.devtools.fuzz.targets import ARGUMENTS

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("kmes", "jobs", "keygroups", "cloudcreds", "hsm", "logging_reports")
_ARGUMENT = re.compile(r"<(?:(\w+):)?(\w+)>")
_READ = re.compile(
    r"""(?:GET|POST|query|data)\.(?:get|getlist)\(\s*"(\w+)"|"(\w+)" in (?:request\.)?(?:GET|POST|data)\b"""
)
_FIELD = re.compile(r"^    (\w+) = (?:forms\.)?\w*Field\(", re.MULTILINE)
_HX_TARGET = re.compile(r"""hx-target="#([\w-]+)"|HX-Target"\) == "([\w-]+)\"""")
# Sent by libraries and the shell, and named nowhere in a view.
_COMMON_PARAMETERS = ("page", "per_page", "sort", "view", "next", "csrfmiddlewaretoken", "do", "back")


@dataclass(frozen=True)
class Route:
    """An address with the names and converters of its arguments."""

    pattern: str
    arguments: tuple[tuple[str, str], ...]

    def fill(self, values: Iterable[bytes]) -> str:
        """Return the path with these arguments, percent-encoded."""
        given = iter(values)
        return "/" + _ARGUMENT.sub(lambda _match: quote_from_bytes(next(given), safe=""), self.pattern)


@dataclass
class PageForm:
    """A form on a page: where it is sent, how, and its fields with their first values."""

    action: str
    method: str = "GET"
    enctype: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def all_routes() -> list[Route]:
    """Return every address of the console."""
    found = (Route(route, tuple((name, kind) for kind, name in _ARGUMENT.findall(route))) for route in _patterns())
    return sorted(set(found), key=lambda route: route.pattern)


def _patterns(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    for each in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(each, URLResolver):
            yield from _patterns(each.url_patterns, f"{prefix}{each.pattern}")
        elif isinstance(each, URLPattern):
            yield f"{prefix}{each.pattern}"


class Arguments:
    """The values of arguments; each kind of row is read once."""

    def __init__(self) -> None:
        self._known: dict[str, list[bytes]] = {}

    def known(self, name: str) -> list[bytes]:
        """Return the values of an argument that name a row. Raises KeyError for one that ``targets`` does not know."""
        if name not in self._known:
            self._known[name] = [str(value).encode() for value in ARGUMENTS[name]()]
        return self._known[name]

    def path(self, route: Route, dice: random.Random, *, oddness: float) -> str:
        """Return the path of a route; an argument is odd with this probability."""
        return route.fill(
            odd_bytes(dice) if dice.random() < oddness else dice.choice(self.known(name))
            for name, _converter in route.arguments
        )


def parameter_names() -> list[str]:
    """Return the names of all parameters and fields that the code reads."""
    found = set(_COMMON_PARAMETERS)
    for text in _sources():
        found.update(name for pair in _READ.findall(text) for name in pair if name)
        found.update(_FIELD.findall(text))
    return sorted(found)


def target_names() -> list[str]:
    """Return the ids of the parts of pages that htmx asks for."""
    templates = (path.read_text() for path in sorted((ROOT / "templates").rglob("*.html")))
    return sorted(
        {name for text in (*templates, *_sources()) for pair in _HX_TARGET.findall(text) for name in pair if name}
    )


def _sources() -> Iterator[str]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "devtools" not in path.parts and "migrations" not in path.parts:
                yield path.read_text()


class _Reader(HTMLParser):
    """Collects forms and links of a page."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.forms: list[PageForm] = []
        self.links: list[str] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._collect_links(given)
        if tag == "form":
            target = given.get("hx-post") or given.get("hx-get") or given.get("action") or self.address
            method = "POST" if "hx-post" in given else given.get("method", "GET").upper()
            self.forms.append(PageForm(urljoin(self.address, target), method, given.get("enctype", "")))
        elif self.forms and given.get("name"):
            self._collect_field(tag, given)
        elif tag == "option" and self.forms and self._select and ("selected" in given or given.get("value")):
            fields = self.forms[-1].fields
            if "selected" in given or all(name != self._select for name, _value in fields):
                fields.append((self._select, given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""

    def _collect_links(self, given: dict[str, str]) -> None:
        for name in ("href", "hx-get", "hx-post", "action", "formaction"):
            parts = urlsplit(given.get(name, ""))
            if parts.path.startswith("/") and not parts.netloc and not parts.path.startswith("/static/"):
                self.links.append(f"{parts.path}?{parts.query}" if parts.query else parts.path)

    def _collect_field(self, tag: str, given: dict[str, str]) -> None:
        form, name = self.forms[-1], given["name"]
        if tag == "select":
            self._select = name
        elif given.get("type") == "file":
            form.files.append(name)
        elif given.get("type") not in {"checkbox", "radio"} or "checked" in given:
            form.fields.append((name, given.get("value", "")))


def read_page(html: str, address: str) -> tuple[list[PageForm], list[str]]:
    """Return the forms and the links of a page."""
    reader = _Reader(address)
    reader.feed(html)
    return reader.forms, list(dict.fromkeys(reader.links))
