"""Addresses of rows that a page lists by the hundred. Must know no view but by the name it is given.

Django's ``reverse`` takes longer than all else of a table's cell, and the addresses of rows differ in the id only.
"""

from __future__ import annotations

from functools import cache
from uuid import UUID

from django.urls import get_script_prefix, get_urlconf, reverse

# Stands in an address for the id of a row.
ANY_ID = UUID(int=0)


def row_url(view: str, row_id: UUID) -> str:
    """Return the address of a view whose only argument is the UUID of a row; as ``reverse``."""
    before, after = _around_id(view, get_script_prefix(), get_urlconf())
    return f"{before}{row_id}{after}"


def list_url(view: str) -> str:
    """Return the address of a view without arguments; as ``reverse``."""
    return _without_id(view, get_script_prefix(), get_urlconf())


@cache
def _without_id(view: str, _prefix: str, urlconf: str | None) -> str:
    return reverse(view, urlconf)


@cache
def _around_id(view: str, _prefix: str, urlconf: str | None) -> tuple[str, str]:
    before, _id, after = reverse(view, urlconf, args=[ANY_ID]).partition(str(ANY_ID))
    return before, after
