"""The registry of actions on objects, read by menus, ⋮ buttons and toolbars.

Each app registers its actions when it is loaded; this module knows no kind of object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise

from kmes.ui.menu_icons import icon_of, icon_of_submenu
from kmes.ui.responses import asks_for_fragment

# The plural is the background of a list, but "keys" are several that were picked, as those with "selected_" are.
Target = Literal[
    "key",
    "keys",
    "group",
    "groups",
    "selected_groups",
    "selected_users",
    "selected_jobs",
    "vault",
    "credential",
    "credentials",
    "job",
    "jobs",
    "version",
    "user",
    "users",
    "role",
    "roles",
]
# "selection" posts the rows selected in a table to the page that confirms the action.
Method = Literal["link", "dialog", "copy", "selection"]


def _never(_obj: Any) -> str:
    return ""


def _always(_obj: Any) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class MenuAction:
    """One entry of an object's menu.

    ``url`` gives the address of the page that does or confirms it; with ``method`` "copy" it gives
    the text to copy. ``label`` may be a function, where it counts what it acts on.
    ``disabled_reason`` says why it can't be done now ("" when it can); such an entry stays in the
    menu. ``shown`` leaves an entry out where it makes no sense at all.
    """

    name: str
    target: Target
    label: str | Promise | Callable[[Any], str]
    url: Callable[[Any], str]
    submenu: str | Promise = ""
    right: str = ""
    method: Method = "link"
    danger: bool = False
    disabled_reason: Callable[[Any], str] = _never
    shown: Callable[[Any], bool] = _always
    order: int = 100


@dataclass(frozen=True)
class MenuItem:
    """An action ready to be shown for one object."""

    name: str
    label: str
    url: str
    method: Method
    danger: bool
    reason: str
    icon: str


@dataclass(frozen=True)
class MenuGroup:
    """Items that stand together: a submenu when it has a label, else plain entries."""

    label: str
    icon: str = ""
    items: list[MenuItem] = field(default_factory=list)


_registry: dict[tuple[str, str], MenuAction] = {}


def register(*actions: MenuAction) -> None:
    """Add actions; the same target and name again replaces the entry (apps may be loaded twice)."""
    for action in actions:
        _registry[action.target, action.name] = action


def all_actions() -> list[MenuAction]:
    """Return the actions of all targets, in no order."""
    return list(_registry.values())


def actions_of(target: Target) -> list[MenuAction]:
    """Return the target's actions in the order of the menu; destructive ones last."""
    return sorted(
        (action for action in _registry.values() if action.target == target),
        key=lambda action: (action.danger and not action.submenu, action.order),
    )


def menu_for(target: Target, obj: Any, user: Any) -> list[MenuGroup]:
    """Return the menu of ``obj`` for ``user``: what the user may never do is left out."""
    groups: dict[str, MenuGroup] = {}
    for action in actions_of(target):
        if (action.right and not _may(user, action.right, obj)) or not action.shown(obj):
            continue
        label = str(action.submenu)
        # Destructive entries without a submenu stand apart, after a separator.
        group = groups.setdefault(
            label or ("-" if action.danger else ""), MenuGroup(label, icon_of_submenu(action.submenu))
        )
        group.items.append(_to_item(action, obj))
    return list(groups.values())


def _may(user: Any, right: str, obj: Any) -> bool:
    """Return whether a user may do this with an object; with a list or a selection, at least somewhere."""
    return bool(user.may(right, obj) if hasattr(type(obj), "places") else user.may_somewhere(right))


def flat_menu(groups: Iterable[MenuGroup]) -> list[tuple[str, MenuItem]]:
    """Return all items with the label of their submenu, for toolbars and pages without script."""
    return [(group.label, item) for group in groups for item in group.items]


def _to_item(action: MenuAction, obj: Any) -> MenuItem:
    reason = str(action.disabled_reason(obj))
    return MenuItem(
        name=action.name,
        label=action.label(obj) if callable(action.label) else str(action.label),
        url="" if reason else action.url(obj),
        method=action.method,
        danger=action.danger,
        reason=reason,
        icon=icon_of(action.name),
    )


def show_menu(request: HttpRequest, target: Target, obj: Any, *, name: object, back: str) -> HttpResponse:
    """Show an object's menu: a fragment for the context menu; without script a page, with ``back`` as the way from it."""
    context = {"name": name, "groups": menu_for(target, obj, request.user), "back": back}
    return render(request, "ui/_menu.html" if asks_for_fragment(request) else "ui/actions.html", context)
