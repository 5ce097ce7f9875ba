"""The tree on the left: sections and pages as the original console orders them (KMES.md, "Menu tree")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Page:
    """A page of the tree: label, URL name, icon, right needed, and the paths it stands for."""

    label: str | Promise
    view: str
    icon: str
    right: str = "console.read"


@dataclass(frozen=True)
class Section:
    """A heading of the tree with its pages."""

    label: str | Promise
    pages: tuple[Page, ...]


TREE = (
    Section("", (Page(_("Dashboard"), "dashboard:home", "home"),)),
    Section(_("Key Management"), (Page(_("Keys"), "keygroups:keys", "key"),)),
    Section(
        _("Identity Management"),
        (
            Page(_("Cloud Credentials"), "cloudcreds:list", "cloud"),
            Page(_("Users"), "accounts:users", "user"),
            Page(_("Roles"), "accounts:roles", "role"),
        ),
    ),
    Section(
        _("Logging and Reporting"),
        (
            Page(_("Jobs"), "jobs:list", "job"),
            Page(_("System Logs"), "logs:list", "log", "log.read"),
            Page(_("Reports"), "reports:home", "report"),
        ),
    ),
    Section(
        _("Administration"),
        (
            Page(_("Configuration"), "hsm:configuration", "settings"),
            Page(_("Device"), "hsm:device", "device"),
            Page(_("Notices"), "notices:channels", "bell", "notice.manage"),
            Page(_("Self-certification"), "certifications:list", "state-good"),
            Page(_("Set-up"), "setup:resume", "plus"),
        ),
    ),
)


def tree_for(user: Any, path: str) -> list[dict[str, Any]]:
    """Return the sections the user may see, with the page they are on marked."""
    sections = []
    for section in TREE:
        pages = [_entry(page, path) for page in section.pages if user.has_right(page.right)]
        found = [page for page in pages if page is not None]
        if found:
            sections.append({"label": section.label, "pages": found})
    return sections


def _entry(page: Page, path: str) -> dict[str, Any] | None:
    try:
        url = reverse(page.view)
    except NoReverseMatch:
        return None
    here = path == url if url == "/" else path.startswith(url)
    return {"label": page.label, "url": url, "icon": page.icon, "here": here}
