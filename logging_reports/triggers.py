"""Triggers that make the log insert-only, on SQLite and PostgreSQL.

Installed by a migration and after each migration run, because SQLite drops triggers when Django
rebuilds a table. ``verify_log`` checks them. Only the test harness may call ``remove``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "logging_reports_logentry"
HEAD = "logging_reports_loghead"
CHECKPOINT = "logging_reports_logcheckpoint"

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
    "kmes_head_forward": (
        f"BEFORE UPDATE ON {HEAD} WHEN NEW.sequence <= OLD.sequence OR NEW.service <> OLD.service"
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
}

_POSTGRES: dict[str, tuple[str, str]] = {
    "kmes_log_immutable": (TABLE, "BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT"),
    "kmes_head_immutable": (HEAD, "BEFORE DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT"),
    "kmes_head_forward": (
        HEAD,
        "BEFORE UPDATE ON {table} FOR EACH ROW WHEN (NEW.sequence <= OLD.sequence OR NEW.service <> OLD.service)",
    ),
    "kmes_checkpoint_immutable": (
        CHECKPOINT,
        "BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT",
    ),
}
_POSTGRES_FUNCTION = """
CREATE OR REPLACE FUNCTION kmes_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the log is append-only', TG_OP, TG_TABLE_NAME;
END $$
"""


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the missing triggers on the tables that exist. Safe to call again.

    Early migrations call this before the later tables exist.
    """
    tables = set(connection.introspection.table_names()) & {TABLE, HEAD, CHECKPOINT}
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for name, body in _SQLITE.items():
                if _sqlite_table(body) in tables:
                    cursor.execute(f"CREATE TRIGGER IF NOT EXISTS {name} {body}")
            return
        if connection.vendor != "postgresql":
            return
        present = find_installed(connection)
        cursor.execute(_POSTGRES_FUNCTION)
        for name, (table, when) in _POSTGRES.items():
            if name not in present and table in tables:
                cursor.execute(f"CREATE TRIGGER {name} {when.format(table=table)} EXECUTE FUNCTION kmes_log_refuse()")
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


def find_installed(connection: BaseDatabaseWrapper) -> set[str]:
    """Return the names of the triggers on our tables that exist and are enabled."""
    tables = [TABLE, HEAD, CHECKPOINT]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (%s, %s, %s)", tables)
        else:
            # By name, because a cast to regclass fails while a table does not exist.
            cursor.execute(
                "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
                " WHERE relname = ANY(%s) AND pg_table_is_visible(pg_class.oid)"
                " AND NOT tgisinternal AND tgenabled = 'A'",
                [tables],
            )
        return {row[0] for row in cursor.fetchall()}


def find_missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of the triggers that this database should have and lacks."""
    wanted = {"sqlite": set(_SQLITE), "postgresql": set(_POSTGRES)}.get(connection.vendor, set())
    return sorted(wanted - find_installed(connection)) if wanted else []
