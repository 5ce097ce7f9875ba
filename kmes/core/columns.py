"""Foreign values as a column can keep them."""

from __future__ import annotations

from django.db.models import Model

from kmes.core.stored_text import storable

# Of an integer column (PostgreSQL manual, section 8.1). SQLite takes more.
MAX_INTEGER = 2_147_483_647


def cut(model: type[Model], field: str, text: str) -> str:
    """Return the text as this column can keep it, shortened if need be."""
    return storable(text)[: max_length(model, field)]


def fits(model: type[Model], field: str, text: str) -> bool:
    """Return whether the column can keep the text as it is."""
    return cut(model, field, text) == text


def max_length(model: type[Model], field: str) -> int | None:
    """Return the column's length in characters; None where it has no limit."""
    return getattr(model._meta.get_field(field), "max_length", None)  # noqa: SLF001 - Django's documented API
