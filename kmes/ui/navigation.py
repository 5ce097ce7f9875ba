"""The tree on the left: sections and pages as the original console orders them (docs/console.md, "Menu tree")."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Page:
    """A page of the tree: label, URL name, icon, right needed, and the letter that opens it after G."""

    label: str | Promise
    view: str
    icon: str
    right: str = "console.read"
    letter: str = ""


@dataclass(frozen=True)
class Section:
    """A heading of the tree with its pages; ``name`` is its key in the user's folded sections."""

    label: str | Promise
    pages: tuple[Page, ...]
    name: str = ""


TREE = (
    Section("", (Page(_("Dashboard"), "dashboard:home", "home", letter="d"),)),
    Section(
        _("Key Management"),
        (
            Page(_("Keys"), "keygroups:keys", "key", letter="k"),
            Page(_("Custody map"), "keygroups:custody", "columns"),
            Page(_("Rotation calendar"), "keygroups:calendar", "refresh"),
        ),
        "keys",
    ),
    Section(
        _("Identity Management"),
        (
            Page(_("Cloud Credentials"), "cloudcreds:list", "cloud", letter="c"),
            Page(_("Users"), "accounts:users", "user"),
            Page(_("Roles"), "accounts:roles", "role"),
            Page(_("Company sign-on"), "accounts:sign_on", "group", "user.manage"),
            Page(_("Dual login"), "accounts:dual_login", "user", "user.manage"),
            Page(_("Approvals"), "approvals:list", "state-good", letter="a"),
        ),
        "identity",
    ),
    Section(
        _("Logging and Reporting"),
        (
            Page(_("Jobs"), "jobs:list", "job", letter="j"),
            Page(_("System Logs"), "logs:list", "log", "log.read", letter="l"),
            Page(_("Reports"), "reports:home", "report", letter="r"),
            Page(_("Log forwarding"), "forwarding:list", "up", "log.read"),
        ),
        "logging",
    ),
    Section(
        _("Administration"),
        (
            Page(_("Configuration"), "hsm:configuration", "settings", letter="o"),
            Page(_("Device"), "hsm:device", "device", letter="v"),
            Page(_("Notice channels"), "notices:channels", "bell", "notice.manage", letter="n"),
            Page(_("Self-certification"), "certifications:list", "state-good"),
            Page(_("Set-up"), "setup:resume", "plus", letter="s"),
        ),
        "administration",
    ),
)
SECTION_NAMES = frozenset(section.name for section in TREE if section.name)


def tree_for(user: Any, path: str, closed: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the sections the user may see; the present page is marked and its section open."""
    sections = []
    known = [
        [entry for page in section.pages if user.has_right(page.right) and (entry := _entry(page, path)) is not None]
        for section in TREE
    ]
    # A page may lie below another one: the more exact address is where the user is.
    nearest = max((len(page["url"]) for pages in known for page in pages if page["here"]), default=0)
    for section, found in zip(TREE, known, strict=True):
        for page in found:
            page["here"] = page["here"] and len(page["url"]) == nearest
        if found:
            is_open = section.name not in closed or any(page["here"] for page in found)
            sections.append({"label": section.label, "name": section.name, "pages": found, "is_open": is_open})
    return sections


def pages_for(user: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return each page the user may see, with the label of its section."""
    for section in tree_for(user, ""):
        for page in section["pages"]:
            yield str(section["label"]), page


def _entry(page: Page, path: str) -> dict[str, Any] | None:
    try:
        url = reverse(page.view)
    except NoReverseMatch:
        return None
    here = path == url if url == "/" else path.startswith(url)
    return {
        "label": page.label,
        "url": url,
        "icon": page.icon,
        "here": here,
        "letter": page.letter,
        "view": page.view,
    }
