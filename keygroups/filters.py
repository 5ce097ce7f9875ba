"""What the Keys view's query string asks for. Nonsense in an address means no filter, never an error."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict

from keygroups.selectors import ATTENTION_LABELS, KEY_FILTERS

MAX_SEARCH = 160


@dataclass(frozen=True)
class KeysFilter:
    """The chosen group, the search, and the attention filter."""

    group_id: UUID | None = None
    search: str = ""
    show: str = ""

    @classmethod
    def read(cls, query: QueryDict) -> KeysFilter:
        """Read a query string."""
        show = query.get("show", "")
        # NUL is no text for PostgreSQL.
        search = query.get("q", "").replace("\x00", "").strip()[:MAX_SEARCH]
        return cls(read_uuid(query.get("group", "")), search, show if show in ATTENTION_LABELS else "")

    @property
    def spans_groups(self) -> bool:
        """Return whether keys of several groups answer it: a search, or what single keys want."""
        return self.group_id is None and bool(self.search or self.show in KEY_FILTERS)

    @property
    def is_set(self) -> bool:
        """Return whether anything but the group is asked for."""
        return bool(self.search or self.show)

    def link(self, *, group_id: UUID | None) -> str:
        """Return the query string that chooses a group and keeps the rest."""
        values = {"group": str(group_id or ""), "q": self.search, "show": self.show}
        return "?" + urlencode({name: value for name, value in values.items() if value})


def read_uuid(text: str) -> UUID | None:
    """Return the UUID a text holds, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None
