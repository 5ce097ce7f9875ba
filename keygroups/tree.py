"""The tree of the Keys view: groups and their keys, by group, by vault or by state.

Branches are loaded when they are opened, a page at a time, for thousands of groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.core.paginator import Page
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.choices import VaultTier
from keygroups.choices import GroupCloudState
from keygroups.filters import KeysFilter, TreeOrder, read_uuid
from keygroups.models import Key, KeyGroup
from keygroups.selectors import count_by_state, list_groups, list_keys, list_vaults_in_use
from keygroups.states import GROUP_STATES, ShownState, in_vault, of_group, of_key
from kmes.core.clock import now
from kmes.core.row_urls import ANY_ID, list_url, row_url
from kmes.ui.pages import RowPaginator

BRANCH_SIZE = 100
# Within this time a day and a month name one date only.
_SAME_YEAR = timedelta(days=330)


@dataclass
class Node:
    """One line of the tree. ``branch_url`` gives its children; "" for a leaf."""

    id: str
    label: str
    url: str
    icon: str
    state: str = ""
    colour: str = "neutral"
    notes: tuple[str, ...] = ()
    menu_url: str = ""
    branch_url: str = ""
    is_chosen: bool = False
    # Its link fills the right side instead of opening another page.
    fills_pane: bool = False
    # The id of the group that its box selects.
    pick: UUID | None = None
    branch: Branch | None = None


@dataclass
class Branch:
    """Children of a node, or the tree's first level; ``more_url`` gives those that follow."""

    nodes: list[Node] = field(default_factory=list)
    more_url: str = ""
    more: int = 0


def read_tree(wanted: KeysFilter, groups: Page[KeyGroup], chosen: KeyGroup | None) -> Branch:
    """Return the first level in the wanted order, with the branch of the chosen node open."""
    chosen_id = chosen.pk if chosen else None
    if wanted.view == TreeOrder.VAULT:
        open_vault = wanted.vault or (chosen.vault_id if wanted.group and chosen else None)
        return Branch([_vault_node(wanted, vault, open_vault, chosen_id) for vault in list_vaults_in_use()])
    if wanted.view == TreeOrder.STATE:
        counts = count_by_state()
        open_state = wanted.state or (of_group(chosen).value if wanted.group and chosen else "")
        shown = [
            state for state in GROUP_STATES.values() if counts.get(state.value) or state.value in GroupCloudState.values
        ]
        return Branch(
            [_state_node(wanted, state, counts.get(state.value, 0), open_state, chosen_id) for state in shown]
        )
    return Branch([_group_node(wanted, group, chosen_id) for group in groups.object_list])


def read_branch(wanted: KeysFilter, node: str, page: str) -> Branch | None:
    """Return a page of a node's children; None when there is no such node."""
    kind, _colon, name = node.partition(":")
    if kind == "state" and name in GROUP_STATES:
        return _groups_below(wanted, node, page=page, state=name)
    found = read_uuid(name)
    if found is None:
        return None
    if kind == "vault":
        return _groups_below(wanted, node, page=page, vault_id=found)
    return _keys_below(wanted, node, found, page) if kind == "group" else None


def _branch_url(wanted: KeysFilter, node: str, page: int = 1) -> str:
    query = wanted.link(node=node, page=page if page > 1 else "")
    return reverse("keygroups:branch") + query


def _group_url(wanted: KeysFilter, group_id: UUID) -> str:
    before, after = _around_group(wanted)
    return f"{list_url('keygroups:keys')}{before}{group_id}{after}"


def _group_branch_url(wanted: KeysFilter, group_id: UUID) -> str:
    return f"{list_url('keygroups:branch')}{_before_group_node(wanted)}{group_id}"


# The addresses of groups in a tree differ in the id only. ``urlencode`` takes longer than the rest of a line.
@lru_cache(maxsize=128)
def _around_group(wanted: KeysFilter) -> tuple[str, str]:
    before, _id, after = wanted.link(group=ANY_ID).partition(str(ANY_ID))
    return before, after


@lru_cache(maxsize=128)
def _before_group_node(wanted: KeysFilter) -> str:
    return wanted.link(node=f"group:{ANY_ID}").removesuffix(str(ANY_ID))


def _groups_below(
    wanted: KeysFilter,
    node: str,
    *,
    page: str = "1",
    vault_id: UUID | None = None,
    state: str = "",
    chosen: UUID | None = None,
) -> Branch:
    groups = list_groups(search=wanted.q, show=wanted.show, vault_id=vault_id, state=state)
    shown = RowPaginator(groups, BRANCH_SIZE).get_page(page)
    return _branch(wanted, node, shown, [_group_node(wanted, group, chosen) for group in shown.object_list])


def _keys_below(wanted: KeysFilter, node: str, group_id: UUID, page: str) -> Branch:
    shown = RowPaginator(list_keys(group_id=group_id), BRANCH_SIZE).get_page(page)
    return _branch(wanted, node, shown, [_key_node(key) for key in shown.object_list])


def _branch(wanted: KeysFilter, node: str, shown: Page[KeyGroup] | Page[Key], nodes: list[Node]) -> Branch:
    if not shown.has_next():
        return Branch(nodes)
    left = shown.paginator.count - shown.end_index()
    return Branch(nodes, _branch_url(wanted, node, shown.next_page_number()), left)


def _vault_node(wanted: KeysFilter, vault: Any, open_vault: UUID | None, chosen: UUID | None) -> Node:
    node = f"vault:{vault.pk}"
    count = vault.group_count
    is_open = vault.pk == open_vault
    return Node(
        id=node,
        label=vault.name,
        url=reverse("keygroups:keys") + wanted.link(vault=vault.pk),
        icon="cloud",
        notes=(str(VaultTier(vault.tier).label), _groups_text(count), vault.credential.name),
        menu_url=reverse("keygroups:vault_actions", args=[vault.pk]),
        branch_url=_branch_url(wanted, node),
        is_chosen=is_open and chosen is None,
        fills_pane=True,
        branch=_groups_below(wanted, node, vault_id=vault.pk, chosen=chosen) if is_open else None,
    )


def _groups_text(count: int) -> str:
    return ngettext("%(count)d group", "%(count)d groups", count) % {"count": count}


def _state_node(wanted: KeysFilter, state: ShownState, count: int, open_state: str, chosen: UUID | None) -> Node:
    node, is_open = f"state:{state.value}", state.value == open_state
    return Node(
        id=node,
        label=str(state.label),
        url=reverse("keygroups:keys") + wanted.link(state=state.value),
        icon=f"state-{state.colour}",
        notes=(_groups_text(count),),
        branch_url=_branch_url(wanted, node) if count else "",
        is_chosen=is_open and chosen is None,
        fills_pane=True,
        branch=_groups_below(wanted, node, state=state.value, chosen=chosen) if is_open else None,
    )


def group_node(wanted: KeysFilter, group: KeyGroup) -> Node:
    """Return the chosen group's line, to be renewed with the right side. ``group`` comes from ``list_groups``."""
    return _group_node(wanted, group, group.pk)


def _group_node(wanted: KeysFilter, group: KeyGroup, chosen: UUID | None) -> Node:
    node = f"group:{group.pk}"
    count = group.key_count  # type: ignore[attr-defined]
    state = of_group(group)
    notes: tuple[str, ...] = (ngettext("%(count)d key", "%(count)d keys", count) % {"count": count},)
    if group.rotate and group.next_due_at:
        # First and short: a narrow pane leaves out what does not fit.
        notes = (_("due %(date)s") % {"date": _short_date(group.next_due_at)}, *notes)
    return Node(
        id=node,
        label=group.name,
        url=_group_url(wanted, group.pk),
        icon="folder",
        state=str(state.label),
        colour=state.colour,
        notes=notes,
        menu_url=row_url("keygroups:group_actions", group.pk),
        branch_url=_group_branch_url(wanted, group.pk),
        is_chosen=group.pk == chosen,
        fills_pane=True,
        pick=group.pk,
    )


def _short_date(moment: datetime) -> str:
    """Return the UTC day as "Feb 26", or month and year where that could be another year's day."""
    is_near = abs(moment - now()) < _SAME_YEAR
    return date_format(moment.astimezone(UTC).date(), "M j" if is_near else "M Y")


def _key_node(key: Key) -> Node:
    state = in_vault(key)
    return Node(
        id=f"key:{key.pk}",
        label=key.name,
        url=key.get_absolute_url(),
        icon="key",
        state=str(state.label),
        colour=state.colour,
        notes=(str(of_key(key).label),) if key.state != "present" else (),
        menu_url=row_url("keygroups:key_actions", key.pk),
    )
