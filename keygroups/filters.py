"""What the Keys view's query string asks for. Nonsense in an address means no filter, never an error."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from keygroups.choices import GroupCloudState
from keygroups.models import Key
from keygroups.selectors import ATTENTION_LABELS, KEY_FILTERS, list_keys
from kmes.ui.tables import searched_text

MAX_SEARCH = 160


class View:
    """Names of the tree's orders (``?view=``)."""

    GROUP = ""
    VAULT = "vault"
    STATE = "state"


VIEW_LABELS = {View.GROUP: _("By group"), View.VAULT: _("By vault"), View.STATE: _("By state")}


@dataclass(frozen=True)
class KeysFilter:
    """The chosen group, vault or state, the search, the attention filter, and the tree's order."""

    group: UUID | None = None
    q: str = ""
    show: str = ""
    view: str = View.GROUP
    vault: UUID | None = None
    state: str = ""

    @classmethod
    def read(cls, query: QueryDict) -> KeysFilter:
        """Read a query string; a vault or a state counts only in its own view of the tree."""
        show, view, state = query.get("show", ""), query.get("view", ""), query.get("state", "")
        view = view if view in VIEW_LABELS else View.GROUP
        return cls(
            group=read_uuid(query.get("group", "")),
            q=searched_text(query, longest=MAX_SEARCH),
            show=show if show in ATTENTION_LABELS else "",
            view=view,
            vault=read_uuid(query.get("vault", "")) if view == View.VAULT else None,
            state=state if view == View.STATE and state in GroupCloudState.values else "",
        )

    @property
    def spans_groups(self) -> bool:
        """Return whether keys of several groups answer it: a search, a branch, or what single keys want."""
        return self.group is None and bool(self.q or self.show in KEY_FILTERS or self.vault or self.state)

    @property
    def is_set(self) -> bool:
        """Return whether anything but the place in the tree is asked for."""
        return bool(self.q or self.show)

    def query(self, **changes: Any) -> str:
        """Return the query string of this filter with changes, without what is empty."""
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
    """Return the UUID a text holds, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None


def count_of(keys: Any) -> int:
    """Return how many keys a query finds, without what its rows would carry."""
    return int(Key.objects.filter(pk__in=keys.order_by().values("pk")).count())
