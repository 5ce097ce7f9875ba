"""The page that a notice links to. Higher apps register the pages of their log rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.urls import reverse

from logging_reports.models import LogEntry

# Gets the rows of one notice. Returns a path of this console, or "" for rows of another app.
LinkFinder = Callable[[Sequence[LogEntry]], str]


def _exports_page(entries: Sequence[LogEntry]) -> str:
    return reverse("logs:exports") if entries[0].event.startswith("log.export") else ""


_registry: dict[str, tuple[int, LinkFinder]] = {"export": (70, _exports_page)}


def register(name: str, finder: LinkFinder, *, order: int) -> None:
    """Add a link finder. The lowest order is asked first; the same name replaces the entry."""
    _registry[name] = (order, finder)


def find_link(entries: Sequence[LogEntry]) -> str:
    """Return the path that the notice of these rows links to, by default the page of the first row."""
    return find_subject_page(entries) or reverse("logs:detail", args=[entries[0].service, entries[0].sequence])


def find_subject_page(entries: Sequence[LogEntry]) -> str:
    """Return the path of the page that these rows are about; "" where no package has one."""
    for _order, finder in sorted(_registry.values(), key=lambda pair: pair[0]):
        if path := finder(entries):
            return path
    return ""
