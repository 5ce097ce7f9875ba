"""SQL against the log's tables, and the command that verifies them."""

from __future__ import annotations

from io import StringIO

from django.core.management import call_command
from django.db import connection


def execute(sql: str, values=None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def verify(*arguments: str) -> tuple[int, str]:
    """Run ``verify_log``; return its exit status and what it printed."""
    output = StringIO()
    try:
        call_command("verify_log", *arguments, stdout=output)
    except SystemExit as end:
        return int(end.code), output.getvalue()
    return 0, output.getvalue()
