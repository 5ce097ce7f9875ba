"""Reads one page of many rows: which rows stand on it is found first, and what they show is read for those alone.

Otherwise the database computes what is shown (counts of other tables, states) for all rows before the page, and
SQLite for those after it, too.
"""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.db.models.query import ModelIterable
from django_tables2.data import TableQuerysetData


def read_by_key(rows: Any, start: int | None, stop: int | None) -> Any:
    """Return the rows from ``start`` to before ``stop``, in their order. They are read when they are used."""
    if not _has_keys(rows):
        return rows[start:stop]
    return rows.filter(pk__in=rows.prefetch_related(None).values("pk")[start:stop])


def _has_keys(rows: Any) -> bool:
    """Return whether the rows are objects that a subquery may name by their keys."""
    if not isinstance(rows, QuerySet) or rows._result_cache is not None:  # type: ignore[attr-defined]  # noqa: SLF001 - no public name
        return False
    query = rows.query
    is_plain = not (query.distinct or query.combinator or query.is_sliced)
    return is_plain and issubclass(rows._iterable_class, ModelIterable)  # type: ignore[attr-defined]  # noqa: SLF001 - no public name


class RowPaginator(Paginator):  # type: ignore[type-arg]
    """Divides rows of the database into pages."""

    def page(self, number: int | str) -> Page[Any]:
        """Return a page.

        Raises:
            InvalidPage: there is none of this number.

        """
        number = self.validate_number(number)
        bottom = (number - 1) * self.per_page
        return Page(read_by_key(self.object_list, bottom, bottom + self.per_page), number, self)


class RowData(TableQuerysetData):  # type: ignore[misc]
    """The rows of a table. ``count``: how many there are, where it is known already."""

    count: int | None = None

    def __len__(self) -> int:
        return super().__len__() if self.count is None else self.count

    def __getitem__(self, key: Any) -> Any:
        return read_by_key(self.data, key.start, key.stop) if isinstance(key, slice) else super().__getitem__(key)


def as_table_data(rows: Any) -> Any:
    """Return the rows as a table takes them."""
    return RowData(rows) if isinstance(rows, QuerySet) else rows
