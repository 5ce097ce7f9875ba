"""What a step of the wizard found: one sentence each, with its time and, where something is wrong, a remedy."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _


@dataclass(frozen=True)
class Link:
    """A link that helps with a finding. ``right`` is the right it needs; ``user`` the only user who can use it."""

    label: str
    url: str
    right: str = ""
    in_dialog: bool = True
    user: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that was checked. ``ok`` None: information only, does not count."""

    text: str
    ok: bool | None
    at: datetime | None = None
    remedy: str = ""
    links: list[Link] = field(default_factory=list)

    @property
    def word(self) -> str:
        """Return the badge's word."""
        return {True: _("OK"), False: _("to do"), None: _("Info")}[self.ok]

    @property
    def colour(self) -> str:
        """Return the badge's colour."""
        return {True: "good", False: "warning", None: "info"}[self.ok]


@dataclass(frozen=True)
class SetupStep:
    """One step: its number, what it is about, and what was found."""

    number: int
    title: str
    lead: str
    findings: list[Finding]

    @property
    def is_done(self) -> bool:
        """Return whether everything that counts is in order."""
        return all(finding.ok is not False for finding in self.findings)

    @property
    def url(self) -> str:
        """Return the step's page."""
        return reverse("setup:step", args=[self.number])


def link_to(
    label: str, view: str, *args: object, right: str = "", query: str = "", in_dialog: bool = True, user: str = ""
) -> list[Link]:
    """Return the link to a page; an empty list if this console has no such page."""
    try:
        url = reverse(view, args=args)
    except NoReverseMatch:
        return []
    return [Link(label, f"{url}?{query}" if query else url, right, in_dialog, user)]
