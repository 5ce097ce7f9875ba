"""Where a notice leads. Upper apps say which page shows what a log row speaks of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.urls import reverse

from logging_reports.models import LogEntry

# Gets the rows of one notice; returns a path of this console, or "" where it knows none.
Landing = Callable[[Sequence[LogEntry]], str]


def _exports_page(entries: Sequence[LogEntry]) -> str:
    return reverse("logs:exports") if entries[0].event.startswith("log.export") else ""


_registry: dict[str, tuple[int, Landing]] = {"export": (70, _exports_page)}


def register(name: str, landing: Landing, *, order: int) -> None:
    """Add a landing; the lowest order is asked first, and the same name again replaces the entry."""
    _registry[name] = (order, landing)


def find_landing(entries: Sequence[LogEntry]) -> str:
    """Return the path the notice of these rows leads to; at the least the first row itself."""
    for _order, landing in sorted(_registry.values(), key=lambda pair: pair[0]):
        if path := landing(entries):
            return path
    return reverse("logs:detail", args=[entries[0].service, entries[0].sequence])
