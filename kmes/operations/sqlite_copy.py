"""SQLite's part of backup and restore: a consistent copy of the file, and putting one in its place.

Never copies a database file in use byte by byte: SQLite's own backup API makes the copy.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _

from kmes.core.clock import now
from kmes.core.private_files import copy_private
from kmes.operations.manifest import SESSIONS, BackupError
from logging_reports import triggers

FILE = "database.sqlite3"
BUSY_SECONDS = 60
# What SQLite may keep beside a database file.
COMPANIONS = ("-wal", "-shm", "-journal")


def database_path() -> Path:
    """Return the path of the database file."""
    return Path(connection.settings_dict["NAME"])


def copy_out(folder: Path) -> sqlite3.Connection:
    """Copy the whole database at one moment into ``folder``; return a connection to the copy.

    Sessions are left out, so that nobody is signed in after a restore.
    """
    source = sqlite3.connect(f"file:{database_path()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    copy = sqlite3.connect(folder / FILE, isolation_level=None)
    try:
        with closing(source):
            source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        present = {name for (name,) in copy.execute("SELECT name FROM sqlite_master").fetchall()}
        for table in (name for name in SESSIONS if name in present):
            copy.execute(f"DELETE FROM {table}")  # noqa: S608 - one of these constants
        copy.execute("VACUUM")
        (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise BackupError(
                _("The database is damaged: %(verdict)s.") % {"verdict": verdict},
                _("Restore the last backup that was made without."),
            )
    except sqlite3.Error as error:
        copy.close()
        raise BackupError(
            _("The database can't be copied: %(error)s.") % {"error": error}, _("Check its file and free space.")
        ) from error
    except BaseException:
        copy.close()
        raise
    return copy


def is_empty() -> bool:
    """Return whether the database holds nothing yet."""
    path = database_path()
    return not path.exists() or path.stat().st_size == 0 or not connection.introspection.table_names()


@contextmanager
def replaced(folder: Path) -> Iterator[None]:
    """Replace the database by the copy; if the body fails, restore the former file.

    A former file that was not empty is kept beside it, named ``…before-restore-<time>``.
    """
    _refuse_strange_schema(folder / FILE)
    path, was_empty = database_path(), is_empty()
    connection.close()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.before-restore-{now():%Y%m%dT%H%M%SZ}")
    moved = _move(path, aside)
    try:
        _put(folder / FILE, path)
        yield
    except BaseException:
        connection.close()
        for name in (path, *(Path(f"{path}{companion}") for companion in COMPANIONS)):
            name.unlink(missing_ok=True)
        for former, place in moved:
            place.replace(former)
        raise
    if was_empty:
        for _former, place in moved:
            place.unlink(missing_ok=True)


def _refuse_strange_schema(copy: Path) -> None:
    """Refuse a database whose schema could do something when it is read: views, virtual tables, strange triggers.

    Raises:
        BackupError: it has one, or is damaged.

    """
    try:
        with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as opened:
            opened.execute("PRAGMA trusted_schema = OFF")
            (verdict,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
            entries = opened.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    except sqlite3.Error as error:
        raise BackupError(_("The database of the backup is damaged: %(error)s.") % {"error": error}) from error
    if verdict != "ok":
        raise BackupError(_("The database of the backup is damaged: %(error)s.") % {"error": verdict})
    for kind, name, sql in entries:
        is_own_trigger = kind == "trigger" and name in triggers.SQLITE_NAMES
        is_plain = kind == "index" or (kind == "table" and "VIRTUAL" not in str(sql).partition("(")[0].upper())
        if not is_own_trigger and not is_plain:
            raise BackupError(
                _("The database of the backup holds something that this console does not make: %(kind)s “%(name)s”.")
                % {"kind": kind, "name": str(name)[:64]},
                _("Nothing was restored. The file was damaged or forged."),
            )


def _put(copy: Path, path: Path) -> None:
    """Copy into the same folder and rename, because the copy may be on another disk, and others may write to the folder."""
    with copy.open("rb") as source:
        copy_private(source, path)


def _move(path: Path, aside: Path) -> list[tuple[Path, Path]]:
    """Move a database with its companion files; a remaining journal would be applied to the new database."""
    moved = []
    for companion in ("", *COMPANIONS):
        former, place = Path(f"{path}{companion}"), Path(f"{aside}{companion}")
        if former.exists():
            former.replace(place)
            moved.append((former, place))
    return moved


def in_use() -> bool:
    """Return whether the instance of this state folder is running (its supervisor holds the lock)."""
    lock = settings.KMES_STATE_DIR / "run" / "supervisor.lock"
    if not lock.exists():
        return False
    with lock.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
