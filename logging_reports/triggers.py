"""Triggers that make the log insert-only, on SQLite and PostgreSQL.

Installed by a migration and after each migration run, because SQLite drops triggers when Django
rebuilds a table. ``verify_log`` checks them. Only the test harness may call ``remove``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "logging_reports_logentry"
HEAD = "logging_reports_loghead"
CHECKPOINT = "logging_reports_logcheckpoint"
TIME_STAMP = "logging_reports_checkpointtimestamp"
TABLES = (TABLE, HEAD, CHECKPOINT, TIME_STAMP)

# A head moves by a batch at a time. Whoever moves heads could move one so far that no number follows, and nothing would be
# written any more.
HIGHEST_STEP = 10_000_000

# REPLACE deletes the old row without firing a delete trigger (sqlite.org/lang_conflict.html),
# so an insert over an existing position is refused as well. The head may only move forward.
_SQLITE: dict[str, str] = {
    "kmes_log_no_update": f"BEFORE UPDATE ON {TABLE} BEGIN SELECT RAISE(ABORT, 'log rows can not be changed'); END",
    "kmes_log_no_delete": f"BEFORE DELETE ON {TABLE} BEGIN SELECT RAISE(ABORT, 'log rows can not be deleted'); END",
    "kmes_log_no_replace": (
        f"BEFORE INSERT ON {TABLE} WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id"  # noqa: S608 - our constants
        " OR (service = NEW.service AND sequence = NEW.sequence))"
        " BEGIN SELECT RAISE(ABORT, 'log rows can not be replaced'); END"
    ),
    "kmes_head_no_delete": f"BEFORE DELETE ON {HEAD} BEGIN SELECT RAISE(ABORT, 'log heads can not be deleted'); END",
    "kmes_head_no_replace": (
        f"BEFORE INSERT ON {HEAD} WHEN EXISTS (SELECT 1 FROM {HEAD} WHERE service = NEW.service)"  # noqa: S608
        " BEGIN SELECT RAISE(ABORT, 'log heads can not be replaced'); END"
    ),
    "kmes_head_forward": (
        f"BEFORE UPDATE ON {HEAD} WHEN NEW.sequence <= OLD.sequence OR NEW.service <> OLD.service"
        f" OR NEW.sequence > OLD.sequence + {HIGHEST_STEP}"
        " BEGIN SELECT RAISE(ABORT, 'log heads only move forward'); END"
    ),
    "kmes_checkpoint_no_update": (
        f"BEFORE UPDATE ON {CHECKPOINT} BEGIN SELECT RAISE(ABORT, 'checkpoints can not be changed'); END"
    ),
    "kmes_checkpoint_no_delete": (
        f"BEFORE DELETE ON {CHECKPOINT} BEGIN SELECT RAISE(ABORT, 'checkpoints can not be deleted'); END"
    ),
    "kmes_checkpoint_no_replace": (
        f"BEFORE INSERT ON {CHECKPOINT} WHEN EXISTS (SELECT 1 FROM {CHECKPOINT} WHERE number = NEW.number)"  # noqa: S608
        " BEGIN SELECT RAISE(ABORT, 'checkpoints can not be replaced'); END"
    ),
    "kmes_time_stamp_no_update": (
        f"BEFORE UPDATE ON {TIME_STAMP} BEGIN SELECT RAISE(ABORT, 'time stamps can not be changed'); END"
    ),
    "kmes_time_stamp_no_delete": (
        f"BEFORE DELETE ON {TIME_STAMP} BEGIN SELECT RAISE(ABORT, 'time stamps can not be deleted'); END"
    ),
    "kmes_time_stamp_no_replace": (
        f"BEFORE INSERT ON {TIME_STAMP} WHEN EXISTS (SELECT 1 FROM {TIME_STAMP} WHERE number = NEW.number)"  # noqa: S608
        " BEGIN SELECT RAISE(ABORT, 'time stamps can not be replaced'); END"
    ),
}

SQLITE_NAMES = frozenset(_SQLITE)

_POSTGRES: dict[str, tuple[str, str]] = {
    "kmes_log_immutable": (TABLE, "BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT"),
    "kmes_head_immutable": (HEAD, "BEFORE DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT"),
    "kmes_head_forward": (
        HEAD,
        (
            "BEFORE UPDATE ON {table} FOR EACH ROW WHEN (NEW.sequence <= OLD.sequence OR NEW.service <> OLD.service"
            f" OR NEW.sequence > OLD.sequence + {HIGHEST_STEP})"
        ),
    ),
    "kmes_checkpoint_immutable": (
        CHECKPOINT,
        "BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT",
    ),
    "kmes_time_stamp_immutable": (
        TIME_STAMP,
        "BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT",
    ),
}
_FUNCTION = "kmes_log_refuse"
_FUNCTION_BODY = """
BEGIN
    RAISE EXCEPTION '% on % is refused: the log is append-only', TG_OP, TG_TABLE_NAME;
END """
_POSTGRES_FUNCTION = (
    f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $${_FUNCTION_BODY}$$"
)
# Bits of pg_trigger.tgtype (PostgreSQL's catalog/pg_trigger.h): when, for what, and on which commands it fires.
_TYPE_BITS = {"FOR EACH ROW": 1, "BEFORE": 2, "INSERT": 4, "DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers that are missing or altered, on the tables that exist. Safe to call again.

    Early migrations call this before the later tables exist.
    """
    tables = set(connection.introspection.table_names()) & set(TABLES)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            genuine = _find_genuine(connection)
            for name, body in _SQLITE.items():
                if _sqlite_table(body) in tables and name not in genuine:
                    cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
                    cursor.execute(f"CREATE TRIGGER {name} {body}")
            return
        if connection.vendor != "postgresql":
            return
        cursor.execute(_POSTGRES_FUNCTION)
        genuine = _find_genuine(connection)
        for name, (table, when) in _POSTGRES.items():
            if name not in genuine and table in tables:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
                cursor.execute(f"CREATE TRIGGER {name} {when.format(table=table)} EXECUTE FUNCTION {_FUNCTION}()")
                # ALWAYS: session_replication_role = replica must not disable it.
                cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def _sqlite_table(body: str) -> str:
    return body.partition(" ON ")[2].partition(" ")[0]


def remove(connection: BaseDatabaseWrapper) -> None:
    """Drop the triggers, to reverse the migration or to empty a test database."""
    tables = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for name in _SQLITE:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        elif connection.vendor == "postgresql":
            for name, (table, _when) in _POSTGRES.items():
                if table in tables:
                    cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")


def find_faults(connection: BaseDatabaseWrapper) -> list[str]:
    """Return in sentences which triggers are missing, altered or switched off, and which others are on the tables."""
    wanted = {"sqlite": set(_SQLITE), "postgresql": set(_POSTGRES)}.get(connection.vendor, set())
    if not wanted:
        return []
    found = _find_installed(connection)
    return [
        *(f"the trigger {name} is missing or switched off" for name in sorted(wanted - found.keys())),
        *(
            f"the trigger {name} is not as it was installed"
            for name in sorted(wanted & found.keys())
            if not found[name]
        ),
        *(f"the trigger {name} is not of this console" for name in sorted(found.keys() - wanted)),
    ]


def _find_genuine(connection: BaseDatabaseWrapper) -> set[str]:
    return {name for name, is_genuine in _find_installed(connection).items() if is_genuine}


def _find_installed(connection: BaseDatabaseWrapper) -> dict[str, bool]:
    """Return the enabled triggers on our tables, and whether each does what ours of that name does."""
    tables = list(TABLES)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (%s, %s, %s, %s)", tables
            )
            return {name: sql == f"CREATE TRIGGER {name} {_SQLITE.get(name)}" for name, sql in cursor.fetchall()}
        # By name, because a cast to regclass fails while a table does not exist.
        cursor.execute(
            "SELECT tgname, relname, tgenabled, tgtype, tgattr::text, proname, prosrc, lanname, pg_get_triggerdef(pg_trigger.oid)"
            " FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid"
            " JOIN pg_language ON pg_language.oid = prolang"
            " WHERE relname = ANY(%s) AND pg_table_is_visible(pg_class.oid) AND NOT tgisinternal",
            [tables],
        )
        # A switched-off trigger of ours counts as missing; one of somebody else is strange in any state.
        return {
            name: _is_genuine(name, *facts)
            for name, table, enabled, *facts in (_as_text(row) for row in cursor.fetchall())
            if name not in _POSTGRES or (enabled == "A" and _POSTGRES[name][0] == table)
        }


def _as_text(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(part.decode() if isinstance(part, bytes) else part for part in row)


def _is_genuine(name: str, kind: int, columns: str, function: str, body: str, language: str, text: str) -> bool:
    """Compare a trigger of PostgreSQL with ours of that name: when it fires, on what, and what it does."""
    if name not in _POSTGRES:
        return False
    when = _POSTGRES[name][1]
    wanted_kind = sum(bit for word, bit in _TYPE_BITS.items() if word in when.partition(" WHEN ")[0])
    does = (function, body.strip(), language)
    return (
        (kind, columns) == (wanted_kind, "")
        and does == (_FUNCTION, _FUNCTION_BODY.strip(), "plpgsql")
        and _condition(text) == _condition(when)
    )


def _condition(definition: str) -> str:
    """Return a trigger's condition without the parentheses, casts and spaces that PostgreSQL adds; "" for none."""
    found = re.search(r" WHEN \((.*)\)$", definition.partition(" EXECUTE ")[0])
    return re.sub(r"::text|[()\s]", "", found[1]).lower() if found else ""
