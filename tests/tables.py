"""Gives databases their tables: the migrations run once in a test run, and what they made is copied.

For tests that begin where an installation stands; those of the migrations and of a first start begin with nothing.
Must not import Django or anything of ours, as ``tests.services``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.services import ROOT

# The folder in which the processes of one test run keep what the migrations made; set by the first of them.
FOLDER_VARIABLE = "TABLES_OF_THE_TEST_RUN"
POSTGRES_DATABASE = "kmes_tables"


@contextlib.contextmanager
def _made_once(name: str) -> Iterator[Path | None]:
    """Give the path of what is to be made, to the first who asks; None to all who come after it is done."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / f"{name}.done"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            yield None
            return
        yield folder / name
        done.touch()


def _migrate(database_url: str, folder: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KMES_", "SOFTHSM2_"))}
    environment = {
        **kept,
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "kmes.settings",
        "KMES_PROCESS": "manage",
        "KMES_STATE_DIR": str(folder),
    }
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdin=subprocess.DEVNULL)


def give_file(path: Path) -> None:
    """Put a SQLite database with all tables and no rows of ours at this path."""
    with _made_once("sqlite") as to_make:
        if to_make is not None:
            to_make.mkdir()
            _migrate(f"sqlite:///{to_make / 'db.sqlite3'}", to_make)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(os.environ[FOLDER_VARIABLE]) / "sqlite" / "db.sqlite3", path)


def template_at(server: str) -> str:
    """Return the name of a database with all tables and no rows of ours, to copy by ``CREATE DATABASE … TEMPLATE``.

    ``server`` is the address of the PostgreSQL of this test run.
    """
    with _made_once("postgres") as to_make:
        if to_make is not None:
            to_make.mkdir()
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {POSTGRES_DATABASE}")
            _migrate(f"{server.rpartition('/')[0]}/{POSTGRES_DATABASE}", to_make)
    return POSTGRES_DATABASE
