"""What every connection to PostgreSQL begins with."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


def switch_off_jit(*, connection: BaseDatabaseWrapper, **_kwargs: Any) -> None:
    """Switch the compilation of queries off: it takes longer than any query of a page (docs/deployment.md)."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET jit = off")
