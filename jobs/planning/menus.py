"""The menu entries that several kinds share: the same submenu, and addresses that name a group, key or version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from django.utils.translation import gettext_lazy as _

from jobs.spec import MenuEntry, Text

# Says why the object's entry can't be started; "" when it can.
WhyNot = Callable[[Any], str]
CLOUD = _("Cloud")
CREATE = _("Create")


def nothing_blocks(_obj: Any) -> str:
    """Return that it can be started."""
    return ""


def on_group(kind: str, label: Text, order: int, why_not: WhyNot, **more: Any) -> MenuEntry:
    """Return the entry of a kind in the menu of a key group; ``more`` sets what differs from the Cloud submenu."""
    return _entry("group", kind, label, order, why_not, **more)


def on_key(kind: str, label: Text, order: int, why_not: WhyNot, **more: Any) -> MenuEntry:
    """Return the entry of a kind in the menu of a key; ``more`` sets what differs from the Cloud submenu."""
    return _entry("key", kind, label, order, why_not, **more)


def _entry(
    target: Literal["group", "key"],
    kind: str,
    label: Text,
    order: int,
    why_not: WhyNot,
    *,
    submenu: Text = CLOUD,
    danger: bool = False,
) -> MenuEntry:
    return MenuEntry(
        target=target,
        name=kind,
        label=label,
        order=order,
        query=lambda obj: {target: obj.pk},
        why_not=why_not,
        submenu=submenu,
        danger=danger,
    )


def on_selection(
    kind: str,
    label: Callable[[int | None], str],
    order: int,
    *,
    why_not: WhyNot = nothing_blocks,
    submenu: Text = "",
    danger: bool = False,
) -> MenuEntry:
    """Return the entry of a kind in the menu of several picked keys. The label gets None before any is picked."""
    return MenuEntry(
        target="keys",
        name=kind,
        label=lambda selection: label(selection.count if selection else None),
        order=order,
        query=lambda _selection: {},
        why_not=why_not,
        submenu=submenu,
        danger=danger,
    )
