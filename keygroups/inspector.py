"""What the inspector of the Keys view shows beside the table: a key, or the chosen group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from keygroups import states
from keygroups.choices import Drift
from keygroups.key_jobs import jobs_of_keys
from keygroups.models import Key, KeyGroup
from keygroups.selectors import find_key, find_observation
from keygroups.tables import KeyTable
from kmes.accounts.rights import Right
from kmes.ui.actions import MenuItem, flat_menu, menu_for
from kmes.ui.tables import apply_layout

# The action that is offered as a button, by the name of the menu's entry: the first that can be done now.
_NEXT_OF_KEY = ("synchronize", "properties")


@dataclass(frozen=True)
class Step:
    """The one action that a pane offers as a button."""

    submenu: str
    item: MenuItem

    @property
    def label(self) -> str:
        """Return the entry's label, with its submenu where the entry alone does not say what is done."""
        return f"{self.submenu} › {self.item.label}" if self.item.name == "create" else self.item.label


def next_step(target: Any, obj: Any, user: Any, names: tuple[str, ...]) -> Step | None:
    """Return the first of the named menu entries that can be done now, or None."""
    possible = {item.name: Step(submenu, item) for submenu, item in flat_menu(menu_for(target, obj, user))}
    found = (possible[name] for name in names if name in possible and not possible[name].item.reason)
    return next(found, None)


def next_step_of_group(group: KeyGroup, user: Any) -> Step | None:
    """Return what comes next for a group: its first push or its next rotation.

    A group without keys has none: in place of the table stands the button that makes the first.
    """
    if not group.__dict__.get("key_count", 1):
        return None
    is_pushed = group.cloud_state == "live"
    return next_step("group", group, user, ("rotate", "create") if is_pushed else ("synchronize", "rotate", "create"))


def read_key(request: HttpRequest, key_id: UUID) -> dict[str, Any] | None:
    """Return what the inspector shows of a key: the facts of its row in the user's order, then its identifiers."""
    key = find_key(key_id)
    if key is None:
        return None
    user: Any = request.user
    version = states.version_shown(key)
    observation = find_observation(version) if version else None
    return {
        "key": key,
        "group": key.group,
        "version": version,
        "facts": facts_of(request, key),
        "versionless": f"{key.group.vault.url.rstrip('/')}/keys/{key.group.azure_name}",
        "flags": [Drift(flag).label for flag in observation.flags] if observation else [],
        "next": next_step("key", key, user, _NEXT_OF_KEY),
        "can_read_log": user.has_right(Right.LOG_READ),
    }


def facts_of(request: HttpRequest, key: Key) -> list[tuple[str, Any]]:
    """Return heading and cell of each column of the table, hidden ones too, for one key."""
    table = KeyTable([key], exclude=("pick", "name", "menu"))
    apply_layout(request, table)
    table.key_jobs = jobs_of_keys([key.pk])
    hidden = [column for column in table.columns.all() if not column.visible]
    row = table.rows[0]
    return [(str(column.header), row.get_cell(column.name)) for column in [*table.columns, *hidden]]
