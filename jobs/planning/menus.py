"""The menu entries that several kinds share: the same submenu, and addresses that name a group, key or version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext_lazy as _

from jobs.spec import MenuEntry, Text

CLOUD = _("Cloud")
CREATE = _("Create")


def nothing_blocks(_obj: Any) -> str:
    """Return that it can be started."""
    return ""


def on_group(
    kind: str, label: Text, order: int, why_not: Callable[[Any], str], *, submenu: Text = CLOUD, danger: bool = False
) -> MenuEntry:
    """Return the entry of a kind in the menu of a key group."""
    return MenuEntry(
        target="group",
        name=kind,
        label=label,
        order=order,
        query=lambda group: {"group": group.pk},
        why_not=why_not,
        submenu=submenu,
        danger=danger,
    )


def on_key(
    kind: str, label: Text, order: int, why_not: Callable[[Any], str], *, submenu: Text = CLOUD, danger: bool = False
) -> MenuEntry:
    """Return the entry of a kind in the menu of a key."""
    return MenuEntry(
        target="key",
        name=kind,
        label=label,
        order=order,
        query=lambda key: {"key": key.pk},
        why_not=why_not,
        submenu=submenu,
        danger=danger,
    )


def on_selection(
    kind: str, label: Callable[[int | None], str], order: int, *, submenu: Text = "", danger: bool = False
) -> MenuEntry:
    """Return the entry of a kind in the menu of several picked keys. The label gets None before any is picked."""
    return MenuEntry(
        target="keys",
        name=kind,
        label=lambda selection: label(selection.count if selection else None),
        order=order,
        query=lambda _selection: {},
        why_not=nothing_blocks,
        submenu=submenu,
        danger=danger,
    )
