"""A database's schema, to be compared with another's: ``python -m tests.operations.schema``.

``single`` first applies the migrations one by one, as releases without squashed migrations had to.
"""

from __future__ import annotations

import json
import re
import sys

import django

django.setup()

import sqlparse
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.operations.previous_release import without_squashed

POSTGRES = {
    "columns": "SELECT table_name, column_name, data_type, character_maximum_length, column_default, is_nullable, "
    "identity_generation FROM information_schema.columns WHERE table_schema = 'public'",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace",
    "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "functions": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "sequences": "SELECT sequence_name, data_type FROM information_schema.sequences",
}


def apply_single() -> None:
    """Apply every migration but the squashed ones."""
    executor = without_squashed(MigrationExecutor(connection))
    squashed = set(executor.loader.replacements)
    executor.migrate([key for key in executor.loader.graph.leaf_nodes() if key not in squashed])
    # Nothing is left to apply; what follows each run of the command does.
    call_command("migrate", verbosity=0)


def _sqlite(cursor) -> dict[str, list]:
    """Columns in any order: there, a changed column moves to the end of its table."""
    cursor.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    found: dict[str, list] = {}
    for kind, name, table, sql in cursor.fetchall():
        parts = [sql]
        if kind == "table":
            [body] = [each for each in sqlparse.parse(sql)[0].tokens if isinstance(each, sqlparse.sql.Parenthesis)]
            parts = _split(str(body)[1:-1])
        found.setdefault(kind, []).append([name, table, *sorted(re.sub(r'[\s"]', "", part).lower() for part in parts)])
    return found


def _split(text: str) -> list[str]:
    """Split at the commas that stand in no parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def dump() -> list[str]:
    """Everything that migrations make: what holds rows, what guards them, and the first rows."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            found = _sqlite(cursor)
        else:
            found = {}
            for name, query in POSTGRES.items():
                cursor.execute(query)
                found[name] = cursor.fetchall()
            # An index for LIKE keeps the name of a column that was renamed.
            found["indexes"] = [(re.sub(r"INDEX \w+_like ON", "INDEX ON", sql),) for (sql,) in found["indexes"]]
        for table in sorted(connection.introspection.table_names(cursor)):
            cursor.execute(f'SELECT count(*) FROM "{table}"')  # noqa: S608 - a name of the catalogue
            found.setdefault("rows", []).append([table, *cursor.fetchone()])
        cursor.execute("SELECT app, name FROM django_migrations")
        found["migrations"] = cursor.fetchall()
    found["permissions"] = list(
        Permission.objects.values_list("content_type__app_label", "content_type__model", "codename", "name")
    )
    return [json.dumps([name, *row]) for name, rows in found.items() for row in rows]


if __name__ == "__main__":
    if sys.argv[1:] == ["single"]:
        apply_single()
    print(json.dumps(dump()))
