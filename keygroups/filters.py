"""The filter of the Keys view, read from the query string. An invalid value means no filter, never an error."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from keygroups.models import Key
from keygroups.selectors import ATTENTION_LABELS, KEY_FILTERS, list_keys
from keygroups.states import GROUP_STATES
from kmes.ui.tables import searched_text

MAX_SEARCH = 160


class TreeOrder:
    """Orders of the tree (``?view=``)."""

    GROUP = ""
    VAULT = "vault"
    STATE = "state"


TREE_ORDER_LABELS = {TreeOrder.GROUP: _("By group"), TreeOrder.VAULT: _("By vault"), TreeOrder.STATE: _("By state")}


@dataclass(frozen=True)
class KeysFilter:
    """The chosen group, vault or state, the search, the attention filter, and the tree's order."""

    group: UUID | None = None
    q: str = ""
    show: str = ""
    view: str = TreeOrder.GROUP
    vault: UUID | None = None
    state: str = ""

    @classmethod
    def read(cls, query: QueryDict) -> KeysFilter:
        """Read a query string; a vault or a state counts only in its own view of the tree."""
        show, view, state = query.get("show", ""), query.get("view", ""), query.get("state", "")
        view = view if view in TREE_ORDER_LABELS else TreeOrder.GROUP
        return cls(
            group=read_uuid(query.get("group", "")),
            q=searched_text(query, longest=MAX_SEARCH),
            show=show if show in ATTENTION_LABELS else "",
            view=view,
            vault=read_uuid(query.get("vault", "")) if view == TreeOrder.VAULT else None,
            state=state if view == TreeOrder.STATE and state in GROUP_STATES else "",
        )

    @property
    def spans_groups(self) -> bool:
        """Return whether it asks for keys of several groups: by a search, a branch, or a filter of keys."""
        return self.group is None and bool(self.q or self.show in KEY_FILTERS or self.vault or self.state)

    @property
    def is_set(self) -> bool:
        """Return whether it holds more than the place in the tree."""
        return bool(self.q or self.show)

    def query(self, **changes: Any) -> str:
        """Return the query string of this filter with changes. Empty values are left out."""
        values = {each.name: getattr(self, each.name) for each in fields(self)} | changes
        return urlencode({name: str(value) for name, value in values.items() if value})

    def link(self, **changes: Any) -> str:
        """Return the address that keeps search and view and changes the place in the tree."""
        return "?" + replace(self, group=None, vault=None, state="").query(**changes)

    def keys(self) -> Any:
        """Return the keys it asks for, as the table shows them."""
        group = self.group
        return list_keys(group_id=group, search=self.q, show=self.show, vault_id=self.vault, state=self.state)


def read_uuid(text: str) -> UUID | None:
    """Return the UUID in a text, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None


def count_of(keys: Any) -> int:
    """Return how many keys a query finds, without its annotations and joins."""
    return int(Key.objects.filter(pk__in=keys.order_by().values("pk")).count())
