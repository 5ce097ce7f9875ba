"""The expression that the text filter of System Logs searches.

PostgreSQL has a trigram index over exactly this expression (migration 0006). SQLite reads the rows,
which is fast enough for an embedded instance.
"""

from __future__ import annotations

from typing import Any

from django.db.models import F, Func, TextField

# The order is part of the index.
SEARCHED_FIELDS = (
    "message",
    "event",
    "credential",
    "vault",
    "group",
    "key",
    "version",
    "job_code",
    "provider_request_id",
)


class Joined(Func):
    """Concatenated fields with line feeds between them, so that no match spans two fields."""

    template = "(%(expressions)s)"
    arg_joiner = " || chr(10) || "
    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Use SQLite's name of the function."""
        return super().as_sql(compiler, connection, arg_joiner=" || char(10) || ", **context)


# ``icontains`` is UPPER(…) LIKE UPPER(…) on PostgreSQL, hence the index over UPPER.
SEARCHED_TEXT = Joined(*(F(name) for name in SEARCHED_FIELDS))
