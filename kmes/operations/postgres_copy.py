"""PostgreSQL's part of backup and restore: all tables read in one snapshot, and loaded in one transaction.

Uses COPY on the console's own connection, so it needs no pg_dump of the server's version and works in a
container with Python only. The schema is not copied: the migrations named in the backup make it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.utils.translation import gettext as _

from kmes.operations.manifest import SESSIONS, BackupError, Manifest

FOLDER = "tables"
BLOCK_BYTES = 1024 * 1024
# The migrations write their own table.
LEFT_OUT = frozenset({"django_migrations", *SESSIONS})


@contextmanager
def snapshot() -> Iterator[Any]:
    """Yield a read-only cursor on one snapshot of the database."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield cursor


def copy_out(cursor: Any, folder: Path) -> dict[str, list[str]]:
    """Write each table into a file; return the columns of each."""
    (folder / FOLDER).mkdir(mode=0o700)
    columns = {name: _columns(cursor, name) for name in _tables(cursor)}
    for name, own in columns.items():
        with (
            (folder / FOLDER / name).open("wb") as target,
            cursor.copy(f"COPY {_quoted(name)} ({_listed(own)}) TO STDOUT") as rows,
        ):
            for block in rows:
                target.write(block)
    return columns


def is_empty() -> bool:
    """Return whether the database holds nothing yet."""
    return not connection.introspection.table_names()


def in_use() -> bool:
    """Return whether other programs are connected to this database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        return bool(cursor.fetchone()[0])


@contextmanager
def replaced(folder: Path, manifest: Manifest) -> Iterator[None]:
    """Load the backup in one transaction; if loading or the body fails, nothing is changed.

    Raises:
        BackupError: a table of the backup is unknown to its own migrations.

    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            _drop_everything(cursor)
        _make_tables(set(manifest.facts.migrations))
        with connection.cursor() as cursor:
            _load(cursor, folder, manifest)
            # Migrations that follow may alter tables, which deferred checks would forbid.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        yield


def _tables(cursor: Any) -> list[str]:
    return sorted(set(connection.introspection.table_names(cursor)) - LEFT_OUT)


def _columns(cursor: Any, table: str) -> list[str]:
    return [column.name for column in connection.introspection.get_table_description(cursor, table)]


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _listed(columns: list[str]) -> str:
    return ", ".join(_quoted(column) for column in columns)


def _drop_everything(cursor: Any) -> None:
    for name in connection.introspection.table_names(cursor):
        cursor.execute(f"DROP TABLE {_quoted(name)} CASCADE")
    cursor.execute("DROP FUNCTION IF EXISTS kmes_log_refuse() CASCADE")


def _make_tables(recorded: set[tuple[str, str]]) -> None:
    """Apply the migrations that a backup records."""
    executor = MigrationExecutor(connection)
    squashed = set(executor.loader.replacements)
    if not squashed <= recorded:
        # The backup may need a part of what a squashed migration replaces, so that none of them can be applied.
        executor.loader = MigrationLoader(connection, replace_migrations=False)
        recorded -= squashed
    executor.migrate(_leaves(executor.loader, recorded))


def _leaves(loader: MigrationLoader, recorded: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the last of these migrations: those that no other of them in the same app depends on."""
    known = {key for key in recorded if key in loader.graph.nodes}
    parents = {parent.key for key in known for parent in loader.graph.node_map[key].parents}
    return sorted(key for key in known if key not in {parent for parent in parents if parent[0] == key[0]})


def _load(cursor: Any, folder: Path, manifest: Manifest) -> None:
    here = _tables(cursor)
    if unknown := set(manifest.tables) - set(here):
        raise BackupError(
            _("The backup holds the table %(table)s, which its migrations do not make.") % {"table": min(unknown)}
        )
    columns = {name: _columns(cursor, name) for name in here}
    for name, named in manifest.tables.items():
        # COPY takes names as part of its text, so none may stand there that the catalogue does not have.
        if sorted(named) != sorted(columns[name]):
            raise BackupError(
                _("The backup names other columns of the table %(table)s than its migrations make.") % {"table": name},
                _("Nothing was restored. The file was damaged or forged."),
            )
    for name in here:
        # A migration may have inserted rows into its table, but never into the log's heads.
        cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {_quoted(name)})")  # noqa: S608 - a name of the catalogue
        if cursor.fetchone()[0]:
            cursor.execute(f"DELETE FROM {_quoted(name)}")  # noqa: S608
    for name, named in manifest.tables.items():
        with (
            (folder / FOLDER / name).open("rb") as source,
            cursor.copy(f"COPY {_quoted(name)} ({_listed(named)}) FROM STDIN") as rows,
        ):
            while block := source.read(BLOCK_BYTES):
                rows.write(block)
    _advance_sequences(cursor)


def _advance_sequences(cursor: Any) -> None:
    """Set each identity column's sequence behind its highest value, which COPY does not do."""
    cursor.execute(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND is_identity = 'YES'"
    )
    for table, column in cursor.fetchall():
        cursor.execute(
            f"SELECT setval(pg_get_serial_sequence(%s, %s), max({_quoted(column)}))"  # noqa: S608
            f" FROM {_quoted(table)} HAVING max({_quoted(column)}) IS NOT NULL",
            [_quoted(table), column],
        )
