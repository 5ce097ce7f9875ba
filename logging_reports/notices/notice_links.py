"""The page that a notice links to. Higher apps register the pages of their log rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.urls import reverse

from logging_reports.models import LogEntry

# Gets the rows of one notice. Returns a path of this console, or "" for rows of another app.
LinkFinder = Callable[[Sequence[LogEntry]], str]


def _exports_page(entries: Sequence[LogEntry]) -> str:
    return reverse("logs:exports") if entries[0].event.startswith("log.export") else ""


def _destinations_page(entries: Sequence[LogEntry]) -> str:
    is_alarm = entries[0].event in {"forwarding.behind", "forwarding.resumed"}
    # The list, because the destination may have been deleted since.
    return reverse("forwarding:list") if is_alarm else ""


# By name: the order, the finder, and whether its pages are those of the row's actor.
_registry: dict[str, tuple[int, LinkFinder, bool]] = {
    "export": (70, _exports_page, False),
    "destinations": (71, _destinations_page, False),
}


def register(name: str, finder: LinkFinder, *, order: int, is_for_actor: bool = False) -> None:
    """Add a link finder. The lowest order is asked first; the same name replaces the entry.

    ``is_for_actor``: its pages show what is their reader's own, so they fit notices that go to the row's actor alone.
    """
    _registry[name] = (order, finder, is_for_actor)


def find_link(entries: Sequence[LogEntry]) -> str:
    """Return the path that the notice of these rows links to, by default the page of the first row."""
    found = _find(entries, with_actors_pages=True)
    return found or reverse("logs:detail", args=[entries[0].service, entries[0].sequence])


def find_subject_page(entries: Sequence[LogEntry]) -> str:
    """Return the path of the page that these rows are about, whoever reads them; "" where no package has one."""
    return _find(entries, with_actors_pages=False)


def _find(entries: Sequence[LogEntry], *, with_actors_pages: bool) -> str:
    for _order, finder, is_for_actor in sorted(_registry.values(), key=lambda each: each[0]):
        if (with_actors_pages or not is_for_actor) and (path := finder(entries)):
            return path
    return ""
