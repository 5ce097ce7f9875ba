"""The titles of the kinds of jobs, by the value that rows hold. Filled at start-up, when the kinds are handed in."""

from __future__ import annotations

from django.utils.functional import Promise

from kmes.core import language

_titles: dict[str, str | Promise] = {}


def add_title(kind: str, title: str | Promise) -> None:
    """Add the title of a kind."""
    _titles[kind] = title


def title_of(kind: str) -> str:
    """Return the console's title of a kind; one of a later release is called by its name."""
    return str(_titles.get(kind, kind))


def recorded_title_of(kind: str) -> str:
    """Return the title as rows of the log say it."""
    return language.recorded(_titles.get(kind, kind))
