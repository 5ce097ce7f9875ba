"""What the text filter of System Logs looks into, as one expression that the database has an index for.

On PostgreSQL a trigram index over exactly this expression (migration ``search``) finds a text among
millions of rows; SQLite reads the rows, which is quick enough for what an embedded instance holds.
"""

from __future__ import annotations

from typing import Any

from django.db.models import F, Func, TextField

# Labels and identifiers as well as the message. The order is part of the index.
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
    """The fields side by side, a line feed between them, so that no match spans two of them."""

    template = "(%(expressions)s)"
    arg_joiner = " || chr(10) || "
    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """SQLite calls the function otherwise."""
        return super().as_sql(compiler, connection, arg_joiner=" || char(10) || ", **context)


# Looked into with ``icontains``, which PostgreSQL is asked as UPPER(…) LIKE UPPER(…).
SEARCHED_TEXT = Joined(*(F(name) for name in SEARCHED_FIELDS))
