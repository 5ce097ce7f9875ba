"""A user's own layout of a table: which columns, in which order, how many rows, sorted by what."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

PAGE_SIZES = (25, 50, 100, 200)
PAGE_SIZE = 50


@dataclass(frozen=True)
class Layout:
    """How a user wants a table. ``is_own`` says whether they chose anything at all."""

    order: tuple[str, ...]
    hidden: frozenset[str] = frozenset()
    page_size: int = PAGE_SIZE
    sort: str = ""
    is_own: bool = False

    @classmethod
    def read(cls, kept: dict[str, Any], *, columns: Sequence[str], essential: Collection[str] = ()) -> Self:
        """Read a stored or submitted layout; former columns are dropped, new ones appended."""
        wanted = [name for name in _texts(kept.get("order")) if name in columns]
        order = list(dict.fromkeys([*wanted, *columns]))
        hidden = {name for name in _texts(kept.get("hidden")) if name in columns and name not in essential}
        # A table needs at least one column.
        if len(hidden) == len(order):
            hidden.discard(order[0])
        size, sort = kept.get("page_size"), kept.get("sort")
        return cls(
            order=tuple(order),
            hidden=frozenset(hidden),
            page_size=size if size in PAGE_SIZES else PAGE_SIZE,
            sort=sort if isinstance(sort, str) and sort.removeprefix("-") in columns else "",
            is_own=bool(kept),
        )

    def to_value(self) -> dict[str, Any]:
        """Return the value to store."""
        value = asdict(self)
        del value["is_own"]
        return {**value, "order": list(self.order), "hidden": sorted(self.hidden)}

    def moved(self, name: str, by: int) -> Layout:
        """Return the layout with one column moved by some places, at most to an end."""
        if name not in self.order:
            return self
        order = [each for each in self.order if each != name]
        order.insert(max(0, self.order.index(name) + by), name)
        return replace(self, order=tuple(order))


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
