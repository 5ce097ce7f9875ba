"""An installation of the product in a folder of its own, driven through its commands as an operator would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg

from kmes.core.request_keys import default_signers_file, make_request_keys
from tests import tables
from tests.services import ROOT

PASSPHRASE = "correct horse battery staple"


def new_database(folder: Path, *, like: str = "", with_tables: bool = False) -> str:
    """A database of its own: a SQLite file, or a database of the PostgreSQL that the tests run.

    ``like`` is the address of one to copy; a SQLite file is copied with its folder.
    """
    server = os.environ.get("KMES_TEST_POSTGRES_URL", "")
    if not server:
        if with_tables:
            tables.give_file(folder / "db.sqlite3")
        return f"sqlite:///{folder / 'db.sqlite3'}"
    name = f"kmes_{uuid.uuid4().hex[:12]}"
    if with_tables:
        like = tables.template_at(server)
    template = f" TEMPLATE {like.rpartition('/')[2]}" if like else ""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}{template}")
    return f"{server.rpartition('/')[0]}/{name}"


class Installation:
    """State folder, database, and the environment its processes get."""

    def __init__(self, folder: Path, *, database_url: str = "", **environment: str) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # As the supervisor does before each start.
        make_request_keys(folder / "request_keys", default_signers_file(folder / "request_keys"))
        # The token and its configuration of the test process must not be found.
        kept = {name: value for name, value in os.environ.items() if name not in {"SOFTHSM2_CONF", "DATABASE_URL"}}
        self.environment = {
            **kept,
            "KMES_STATE_DIR": str(folder),
            "DATABASE_URL": database_url or new_database(folder),
            "KMES_PROCESS": "manage",
            "DJANGO_SETTINGS_MODULE": "kmes.settings",
            **environment,
        }

    def run(self, *command: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a program with this installation's environment."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a management command."""
        return self.run("manage.py", *arguments, check=check)

    def act(self, *arguments: str) -> str:
        """Let ``tests.operations.acts`` do something with this installation's rows; returns what it said."""
        return self.run("-m", "tests.operations.acts", *arguments).stdout.strip()

    def copied_to(self, folder: Path) -> Installation:
        """A second installation that holds the same; quicker than preparing one."""
        shutil.copytree(self.folder, folder)
        conf = folder / "hsm" / "softhsm2.conf"
        if conf.exists():
            conf.write_text(conf.read_text().replace(str(self.folder), str(folder)))
        return Installation(folder, database_url=new_database(folder, like=self.environment["DATABASE_URL"]))

    def prepare(self) -> None:
        """Database, device and first administrators, as before a start."""
        self.run("-m", "kmes.supervision.prepare")


def passphrase_file(folder: Path, text: str = PASSPHRASE) -> Path:
    """A passphrase file as the commands want it."""
    path = folder / "passphrase"
    path.touch(mode=0o600)
    path.write_text(text + "\n")
    return path
